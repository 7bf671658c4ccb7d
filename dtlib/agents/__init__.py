"""What all learners share: who acts when, on what, and for which reward.

``policies`` has the networks that decide, drawing from (35), and the order in which they do,
``episode`` what they saw, did and caused, ``credit`` which reward is whose.
"""
