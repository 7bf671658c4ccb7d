"""Settings of the network and of training: Table I, open readings, presets.

Read :mod:`~dtlib.settings.env`, then :mod:`~dtlib.settings.train`;
:mod:`~dtlib.settings.presets` has the values by name.
"""
