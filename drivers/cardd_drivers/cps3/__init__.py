"""The driver of CPS3 cards (CPS, CPF, CPE, CPA of the third generation), without vendor library."""

from cardd_drivers.cps3.driver import Cps3Driver

__all__ = ["Cps3Driver"]
