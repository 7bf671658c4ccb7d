"""The off-policy benchmark: MADDPG with a replay buffer."""
