"""A SuperNode whose ClientApps start at once.

A SuperNode has Flower's command `flwr-clientapp` started for every message, and loading Flower takes that command more
than a second of CPU. Here a process that has loaded it waits beside the SuperNode, as its child (`clientapps`), and
runs it in a fork of itself for every message. The SuperNode finds `bin/flwr-clientapp` before Flower's own; that one
passes its command line on (`pass_on`) and, if nobody waits, becomes Flower's. Nothing of Flower is changed.
"""
