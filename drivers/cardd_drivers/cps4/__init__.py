"""The driver of CPS4 cards (NXP ChipDoc), without vendor library: a variant of the CPS3's."""

from cardd_drivers.cps4.driver import Cps4Driver

__all__ = ["Cps4Driver"]
