"""The challenge: known parts are shown, and nothing passes until the station tells them apart.

===========================  ===========================================  ======================
thread                       does                                         waits for
===========================  ===========================================  ======================
output to challenge          takes what came of each golden part          the next verdict
challenge                    locks when one is due, ends one that hangs   the clock
===========================  ===========================================  ======================

Who decides is the setting that a part was triggered under (:attr:`edge.setting.Setting.lock`), so
that neither a part on its way nor two cameras at once can slip through.
"""
