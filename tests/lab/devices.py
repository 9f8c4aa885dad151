# SPDX-License-Identifier: LGPL-2.1-or-later
"""devices.py - the virtual host's devices, handed to vfio-pci for plain QEMUs; libvirt does that for its own."""
import contextlib
import os

from labhost import sh, wait_for

FIRST, SECOND = "0000:01:00.0", "0000:02:00.0"


def write(path, text):
    if os.path.exists(path):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)


def give_to(driver, device):
    """"\\n" is whichever wants it."""
    folder = f"/sys/bus/pci/devices/{device}"
    write(f"{folder}/driver_override", driver)
    write(f"{folder}/driver/unbind", device)
    write("/sys/bus/pci/drivers_probe", device)


@contextlib.contextmanager
def bound_to_vfio(host, *devices):
    sh("modprobe", "-a", "vfio-pci", "vfio_iommu_type1")
    for device in devices:
        driver = f"/sys/bus/pci/devices/{device}/driver"
        wait_for(lambda path=driver: os.path.basename(os.path.realpath(path)) != "vfio-pci", 60, "libvirt to hand the device back")
        give_to("vfio-pci", device)
    try:
        yield
    finally:
        # Taking a device from a QEMU that has it would wait for its end.
        host.end_plain()
        for device in devices:
            give_to("\n", device)
