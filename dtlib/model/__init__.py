"""The paper's model, eqs. (1) to (28), as pure functions on whole episodes.

In the paper's order: mobility, channel, synchronization, lyapunov; then world (what no action
influences), simulator (what actions cause) and observations (what agents see).
"""
