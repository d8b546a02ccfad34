"""Chained HotStuff, and its two-chain variant in the manner of Fast-HotStuff: small, and independent of DiemBFT.

Sources: Yin, Malkhi, Reiter, Gueta, Abraham, "HotStuff: BFT Consensus in the Lens of Blockchain" (2019), algorithm 5;
Jalalzai, Niu, Feng, Gai, "Fast-HotStuff: A Fast and Resilient HotStuff Protocol" (2020). The first leaves the pacemaker
open: here, in both, a round is left by a certificate of a block or by a quorum of timeouts.
"""
