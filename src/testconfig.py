"""The seed's name for the types of generator and executor files; they live in the package."""

from diembft.twins.scenarios.testconfig import *  # noqa: F403 - a re-export under the seed's name
