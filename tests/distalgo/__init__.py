"""Tests of the DistAlgo runtime. `examples` says what pyDistAlgo's own programs must do; `pythons` finds Pythons."""
