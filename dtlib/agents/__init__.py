"""What all learners share: who acts when, on what, and for which reward.

``policies`` has the networks that decide and the order in which they do (35), ``episode`` what
they saw, did and caused, ``credit`` which reward is whose.
"""
