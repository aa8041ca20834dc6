"""Passes its command line, environment, folder and standard files on to the process that waits (`cli.warm.clientapps`).

If none does, it becomes Flower's own `flwr-clientapp`. It starts for every message, so it imports next to nothing.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Call the socket that the environment names."""
    folder = os.getcwd()
    own = os.path.realpath(os.path.join(os.path.dirname(__file__), "bin"))  # or we would find ourselves
    path = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if os.path.realpath(each) != own)
    environment = {**os.environ, "PATH": path}
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
