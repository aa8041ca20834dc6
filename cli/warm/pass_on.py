"""Passes its command line, environment, folder and standard files on to the process that waits (`cli.warm.clientapps`).

If none does, it becomes Flower's own `flwr-clientapp`. It starts for every message, so it imports next to nothing.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Read `PPS_CLIENTAPP_SOCKET` and call; the first folder in PATH is the one with the command that called us."""
    folder = os.getcwd()
    environment = {**os.environ, "PATH": os.environ["PATH"].partition(os.pathsep)[2]}
    call = json.dumps({"arguments": sys.argv[1:], "environment": environment, "folder": folder}).encode()
    home, name = os.path.split(os.environ["PPS_CLIENTAPP_SOCKET"])
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            os.chdir(home)
            connection.connect(name)  # by a relative path: a socket's may not be long
            sent = socket.send_fds(connection, [call], [0, 1, 2])
            connection.sendall(call[sent:])
    except OSError:
        os.chdir(folder)
        os.execvpe("flwr-clientapp", ["flwr-clientapp", *sys.argv[1:]], environment)


main()
