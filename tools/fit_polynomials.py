"""Fits the polynomials of native/kernels/math.hpp and prints them as C++.

Each is a Chebyshev fit in 60 digits, rounded at the end. Run: python tools/fit_polynomials.py
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
LN2 = mp.log(2)
HALF = LN2 / 2 * mp.mpf("1.001")


def over(value: Callable[[mp.mpf], mp.mpf], power: int, skip: int) -> Callable[[mp.mpf], mp.mpf]:
    """The rest of a Taylor series after `skip` terms, divided by x**power, also near zero."""

    def rest(x: mp.mpf) -> mp.mpf:
        x = mp.mpf(x)
        if abs(x) < mp.mpf("1e-8"):
            terms = mp.taylor(value, 0, power + 3)
            return sum(c * x**k for k, c in enumerate(terms[power:]))
        return (
            value(x) - sum(c * x**k for k, c in enumerate(mp.taylor(value, 0, skip - 1)))
        ) / x**power

    return rest


def even(
    value: Callable[[mp.mpf], mp.mpf], factor: mp.mpf, power: int
) -> Callable[[mp.mpf], mp.mpf]:
    """(f(x) - factor * x) / x**power as a function of z = x * x, for an odd f."""

    def rest(z: mp.mpf) -> mp.mpf:
        z = mp.mpf(z)
        if z < mp.mpf("1e-12"):
            terms = mp.taylor(value, 0, power + 4)
            first = terms[power] if power > 1 else terms[1] - factor
            return first + terms[power + 2] * z
        x = mp.sqrt(z)
        return (value(x) - factor * x) / x**power

    return rest


def cos_rest(z: mp.mpf) -> mp.mpf:
    """(cos(pi x) - 1) / x**2 as a function of z = x * x."""
    z = mp.mpf(z)
    if z < mp.mpf("1e-20"):
        return -(mp.pi**2) / 2
    return (mp.cos(mp.pi * mp.sqrt(z)) - 1) / z


def scaled_erfc(u: mp.mpf) -> mp.mpf:
    """exp(x*x) erfc(x) / t for t = u + 7/16 = 1 / (1 + x/2); centred, so that no terms cancel."""
    t = mp.mpf(u) + mp.mpf(7) / 16
    x = 2 * (1 / t - 1)
    return mp.exp(x * x) * mp.erfc(x) / t


# name, function, interval, degree for float, degree for double
FITS = [
    ("kExp", over(mp.exp, 2, 2), (-HALF, HALF), 4, 9),
    ("kLog", even(lambda s: mp.log((1 + s) / (1 - s)), mp.mpf(2), 3), (0, mp.mpf("0.0296")), 3, 7),
    ("kTanh", even(mp.tanh, mp.mpf(1), 3), (0, mp.mpf("0.395")), 5, 12),
    ("kErf", even(mp.erf, 2 / mp.sqrt(mp.pi), 3), (0, mp.mpf("1.001")), 6, 13),
    ("kErfc", scaled_erfc, (mp.mpf("-0.3725"), mp.mpf("0.3635")), 12, 25),
    ("kSinPi", even(lambda x: mp.sin(mp.pi * x), mp.pi, 3), (0, mp.mpf("0.0626")), 3, 7),
    ("kCosPi", cos_rest, (0, mp.mpf("0.0626")), 3, 7),
]


def main() -> None:
    """Print every polynomial, highest power first, with the error of its fit."""
    for name, function, interval, *degrees in FITS:
        for cpp, degree in zip(("float", "double"), degrees, strict=True):
            coefficients, error = mp.chebyfit(function, interval, degree + 1, error=True)
            digits, suffix = (9, "f") if cpp == "float" else (17, "")
            text = ", ".join(mp.nstr(c, digits, strip_zeros=False) + suffix for c in coefficients)
            print(
                f"// fitted on [{mp.nstr(interval[0], 4)}, {mp.nstr(interval[1], 4)}], "
                f"error {mp.nstr(error, 2)}"
            )
            print(f"template <> inline constexpr {cpp} {name}<{cpp}>[] = {{{text}}};")


if __name__ == "__main__":
    main()
