"""Beta-HAPPO and Beta-MAPPO, eqs. (29) to (35) and Algorithm 1.

Read ``algorithm``: lines 17 to 27 on one page, as they run; ``plain`` is the same in plain
PyTorch. ``experience`` lays episodes out for it, ``gae`` and ``critic`` give advantages, and
``learner`` puts episodes in and takes improved policies out.
"""
