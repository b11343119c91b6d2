"""Weather, time of day and the light that they throw on a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Rgb = tuple[float, float, float]

_WEATHER = ("clear", "partly cloudy", "overcast", "rainy", "snowy", "foggy")
_WEATHER_ODDS = (0.46, 0.14, 0.18, 0.11, 0.06, 0.05)
_TIMES = ("daytime", "dawn/dusk", "night")
_TIME_ODDS = (0.7, 0.14, 0.16)


@dataclass(frozen=True)
class Light:
    """What lights a scene, in display brightness: 1 is white paper in full sun.

    Attributes:
        weather: BDD100K's word for the weather.
        timeofday: BDD100K's word for the time of day.
        sun: Unit vector towards the sun.
        sun_rgb: Brightness that the sun adds to a face turned to it.
        ambient_rgb: Brightness from all sides.
        fog_rgb: Colour of the air.
        fog_density: Share of light lost per metre.
        sky_top: Colour of the sky overhead.
        sky_low: Colour of the sky at the horizon.
        clouds: Share of the sky under cloud, 0…1.
        cloud_rgb: Colour of the clouds.
        headlight: Strength of the camera car's own lamps, 0 by day.
        wet: How far the road mirrors, 0…1.
        snow: Share of snow cover, 0…1.
    """

    weather: str
    timeofday: str
    sun: tuple[float, float, float]
    sun_rgb: Rgb
    ambient_rgb: Rgb
    fog_rgb: Rgb
    fog_density: float
    sky_top: Rgb
    sky_low: Rgb
    clouds: float
    cloud_rgb: Rgb
    headlight: float
    wet: float
    snow: float

    @property
    def lamps_on(self) -> bool:
        """True when vehicles and street lamps are lit."""
        return self.headlight > 0 or self.weather in ("rainy", "foggy", "snowy")

    def shade(self, rgb: Rgb, normal: tuple[float, float, float] | None, z: float) -> Rgb:
        """Return the colour of a surface as the camera sees it.

        Args:
            rgb: Colour of the surface in white light.
            normal: Unit normal; ``None`` for round things, which take the light from all sides.
            z: Distance in metres, for the air and the headlights in between.
        """
        if normal is None:
            facing, ambient = 0.45, 0.86
        else:
            (nx, ny, nz), (sx, sy, sz) = normal, self.sun
            facing, ambient = max(0.0, nx * sx + ny * sy + nz * sz), 0.86 + 0.14 * ny
        lamp = self.headlight * math.exp(-z / 16.0) if self.headlight else 0.0
        clear = math.exp(-z * self.fog_density)
        (r, g, b), (ar, ag, ab), (sr, sg, sb), (fr, fg, fb) = rgb, self.ambient_rgb, self.sun_rgb, self.fog_rgb
        air = 1 - clear
        return (
            r * (ar * ambient + sr * facing + lamp) * clear + fr * air,
            g * (ag * ambient + sg * facing + lamp) * clear + fg * air,
            b * (ab * ambient + sb * facing + lamp) * clear + fb * air,
        )


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """Return ``a`` with ``share`` of it replaced by ``b``."""
    return tuple(x + (y - x) * share for x, y in zip(a, b))


def vary(rng: np.random.Generator, rgb: Rgb, spread: float) -> Rgb:
    """Return a colour near ``rgb``: brightness moves by ``spread``, each channel by a third of it."""
    gain = 1 + rng.uniform(-spread, spread)
    r, g, b = rng.uniform(-spread / 3, spread / 3, 3)
    return min(1.0, rgb[0] * (gain + r)), min(1.0, rgb[1] * (gain + g)), min(1.0, rgb[2] * (gain + b))


def sample_light(rng: np.random.Generator) -> Light:
    """Sample weather and time of day and the light that belongs to them."""
    weather = str(rng.choice(_WEATHER, p=_WEATHER_ODDS))
    timeofday = str(rng.choice(_TIMES, p=_TIME_ODDS))
    azimuth, elevation = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(25, 65))
    if timeofday == "dawn/dusk":
        elevation = math.radians(rng.uniform(6, 16))
    sun = (math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation))
    grey = weather in ("overcast", "rainy", "snowy", "foggy")
    if timeofday == "night":
        return _night(rng, weather, sun)

    blue = rng.uniform(0, 1)
    sky_top, sky_low = mix((0.30, 0.50, 0.80), (0.42, 0.60, 0.82), blue), mix((0.70, 0.82, 0.93), (0.84, 0.88, 0.90), blue)
    clouds = {"clear": rng.uniform(0.0, 0.25), "partly cloudy": rng.uniform(0.4, 0.7)}.get(weather, 1.0)
    strength = {"clear": 0.62, "partly cloudy": 0.5}.get(weather, 0.06) * rng.uniform(0.85, 1.15)
    ambient = (
        mix((0.50, 0.55, 0.63), (0.58, 0.60, 0.62), rng.uniform(0, 1)) if not grey else mix((0.72, 0.75, 0.79), (0.82, 0.82, 0.82), blue)
    )
    sun_rgb = (strength, strength * 0.95, strength * 0.84)
    cloud_rgb = (0.95, 0.95, 0.96)
    if grey:
        tone = rng.uniform(0.62, 0.9)
        sky_top, sky_low, cloud_rgb = (tone * 0.95, tone * 0.98, tone), (tone + 0.06,) * 3, (tone * 0.88, tone * 0.9, tone * 0.93)
    if timeofday == "dawn/dusk":
        warm = rng.uniform(0.4, 1.0)
        sky_low = mix(sky_low, (0.98, 0.70, 0.48), 0.8 * warm)
        sky_top = mix(sky_top, (0.34, 0.38, 0.58), 0.7)
        cloud_rgb = mix(cloud_rgb, (0.86, 0.62, 0.56), 0.6 * warm)
        ambient = tuple(c * f for c, f in zip(ambient, (0.72, 0.66, 0.68)))
        sun_rgb = (strength * 0.9, strength * 0.62, strength * 0.38)
    return Light(
        weather=weather,
        timeofday=timeofday,
        sun=sun,
        sun_rgb=sun_rgb,
        ambient_rgb=ambient,
        fog_rgb=mix(sky_low, (0.72, 0.76, 0.80), 0.35),
        fog_density={"foggy": rng.uniform(0.012, 0.03), "rainy": rng.uniform(0.003, 0.008), "snowy": rng.uniform(0.004, 0.01)}.get(
            weather, rng.uniform(0.0006, 0.003)
        ),
        sky_top=sky_top,
        sky_low=sky_low,
        clouds=clouds,
        cloud_rgb=cloud_rgb,
        headlight=0.0,
        wet=rng.uniform(0.35, 0.8) if weather == "rainy" else 0.0,
        snow=rng.uniform(0.3, 0.9) if weather == "snowy" else 0.0,
    )


def _night(rng: np.random.Generator, weather: str, sun: tuple[float, float, float]) -> Light:
    level = rng.uniform(0.1, 0.2)
    glow = mix((0.10, 0.10, 0.14), (0.22, 0.16, 0.12), rng.uniform(0, 1))
    return Light(
        weather=weather,
        timeofday="night",
        sun=sun,
        sun_rgb=(0.03, 0.03, 0.04),
        ambient_rgb=mix((level * 0.85, level * 0.9, level * 1.15), (level * 1.25, level, level * 0.75), rng.uniform(0, 1)),
        fog_rgb=glow,
        fog_density={"foggy": 0.015, "rainy": 0.006, "snowy": 0.006}.get(weather, 0.003),
        sky_top=(0.025, 0.03, 0.06),
        sky_low=glow,
        clouds=rng.uniform(0, 0.8),
        cloud_rgb=(glow[0] * 0.7, glow[1] * 0.7, glow[2] * 0.8),
        headlight=rng.uniform(0.45, 0.75),
        wet=rng.uniform(0.4, 0.8) if weather == "rainy" else 0.0,
        snow=rng.uniform(0.3, 0.8) if weather == "snowy" else 0.0,
    )
