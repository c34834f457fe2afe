# id: 352
# name: opens_it_every_way
# kind: hostile
# threat: opens the answers by every function that opens
# expect: ok|error
# invariants: no_secret
# wall_s: 2
import codecs
import contextlib
import ctypes
import fileinput
import importlib.machinery
import io
import linecache
import mmap
import os
import sqlite3

import numpy as np

PATH = "@CANARY_DIR@/answers.jsonl"


def by_libc():
    libc = ctypes.CDLL(None)
    libc.fopen.restype, room = ctypes.c_void_p, ctypes.create_string_buffer(4096)
    handle = libc.fopen(PATH.encode(), b"r")
    if handle:
        libc.fread(room, 1, 4096, ctypes.c_void_p(handle))
    return room.raw


def by_link():
    folder = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
    return os.read(os.open("../" * 20 + PATH[1:], os.O_RDONLY, dir_fd=folder), 4096)


def by_map():
    return mmap.mmap(os.open(PATH, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:]


for way in (
    lambda: io.FileIO(PATH).read(),
    lambda: codecs.open(PATH).read(),
    lambda: list(fileinput.input([PATH])),
    lambda: importlib.machinery.SourceFileLoader("x", PATH).get_data(PATH),
    lambda: linecache.getlines(PATH),
    lambda: np.fromfile(PATH, "S1"),
    lambda: np.genfromtxt(PATH, str),
    lambda: sqlite3.connect(f"file:{PATH}?mode=ro", uri=True).execute("select * from sqlite_master").fetchall(),
    lambda: os.listdir("@CANARY_DIR@"),
    lambda: __import__("glob").glob("@CANARY_DIR@/*"),
    by_libc,
    by_link,
    by_map,
):
    with contextlib.suppress(Exception):
        print(way())
