"""The least that identifies anything: torch imported, a network built by timm, its weights loaded.

A script that imports nothing of this project: `identify_bare.py ARCHITECTURE WEIGHTS`.
"""

import os
import sys

import timm
from safetensors.torch import load_file

timm.create_model(sys.argv[1], num_classes=0).eval()
load_file(sys.argv[2])
# As the command ends: without taking torch apart.
os._exit(0)
