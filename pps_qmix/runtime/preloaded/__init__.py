"""Processes of a device that start at once and share their memory.

A device runs four commands: Flower's SuperNode, its SuperExec, its ClientApp (for every message), and our agent. Each
takes seconds of CPU and some 100 to 300 MB to load Flower or PyTorch. Here one process has loaded both (`loaded`) and
runs those commands in forks of itself: they share its pages until they write to them. One serves all devices of a run
on this machine. A SuperNode finds the commands in `bin/` before Flower's own. Those pass their command line on
(`pass_on`) and, if no process listens, become Flower's. Nothing of Flower is changed.

On Linux alone; elsewhere every command loads what it needs.
"""
