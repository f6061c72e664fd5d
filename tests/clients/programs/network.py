"""In a network of our own even loopback has to be switched on."""

import fcntl
import socket
import struct


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
        except OSError:
            pass
