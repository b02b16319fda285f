"""The text of `netlab ping --explain`: how each figure is computed, and where that is defined."""

from __future__ import annotations

TEXT = """\
How netlab ping computes what it prints

  T1 a probe leaves, T2 it reaches the server, T3 the reply leaves there, T4 it is back here.
  T1 and T4 are on one monotonic clock, T2 and T3 on the server's. All are integers in ns.

sent, received, lost, late, still open
  The first reply decides: received before the timeout (-W), late after it, lost with none. A
  probe whose timeout had not passed when the run ended is still open. The four add up to sent.
  A late reply counts for its own probe, never for another; its RTT is told apart under "late".
  JSON: fate ok, late, lost, open.

duplicates (RFC 5560)
  Every further reply to a probe. They hide no loss: unique numbers are counted, not packets.

reordered, reordering, extent (RFC 4737)
  A reply is reordered if one to a later probe came before it: its number is below the highest so
  far + 1. Its extent is how many replies earlier the first of the overtakers came. Copies do not
  count, late ones do.

loss and its 95% interval (Wilson 1927; RFC 7680, RFC 2681)
  lost / (received + late + lost). The interval holds the loss of the path in 95 of 100 runs:
  3 of 10 is 10.8% to 60.3%. How many probes tell one loss from another: a test with 5 % of false
  alarms that sees the difference in 80 % of all cases; to tell 30% from 36.4% takes 420.

loss runs; Gilbert p, r (RFC 3357; Gilbert 1960)
  Losses in a row: how many such runs, their mean and longest length. p is how often a loss follows
  a probe that was answered, r how often an answer follows a loss. Without memory p = 1 - r.

rtt (RFC 2681): min/avg/median/p99/max/stddev
  (T4 - T1) - (T3 - T2); T4 - T1 where the server does not tell both of its times, or impossible
  ones. Of replies in time. Percentiles (p90, p95, p99) are nearest rank; p99 takes 100 replies,
  because of fewer it is the maximum by another name. stddev is that of a sample (n - 1).

jitter: ipdv (RFC 3393)
  RTT less the RTT of the probe sent just before, where both came back in time; signed. The mean
  and p95 are of its size.
jitter: pdv (RFC 5481)
  RTT less the smallest RTT of the run: median, p95 and max above the least.
jitter: rtp (smoothed) (RFC 3550)
  J += (|D| - J) / 16 from each reply to the next, in the order of arrival. It forgets: it tells
  of the last few dozen replies.

directions, per direction: up is the request, down the reply
  A server that counts its replies (stateful STAMP, RFC 8762) tells them apart. Two numbers for one
  probe: copied up. One number twice: copied down. A number that is missing between two that came
  is a reply lost down, so loss down is exact, and a share of replies. Where no number is missing,
  a missing probe was lost up. Where fewer numbers than probes are missing, it is told how many
  were lost either way, not which. Where requests overtook each other, losses no farther apart than
  nine of ten of them got are judged together. Where requests were copied as well, a missing number
  that no missing probe explains is the lost reply to a copy; one next to a missing probe is taken
  for its reply. After the last probe that was answered the way is not known.
  Reordering up is of probes in the order of the server's numbers, down of its numbers here.

offset (RFC 5905)
  ((T2 - T1) + (T3 - T4)) / 2 of the reply with the smallest RTT: the server's clock less this one.
  No way takes less than nothing, so the truth is at most RTT / 2 from it, however unlike the ways
  are. Where replies contradict each other, the clocks moved. A server that tells its time in
  steps adds one step to the bound.

one-way (RFC 7679)
  T2 - T1 and T4 - T3. Both clocks synchronised (they say so, and the offset does not contradict):
  as they are, give or take the errors both clocks state. Else less the offset, give or take its
  bound: then the quickest reply has equal ways by construction. Negative values are shown.

variation up, variation down (RFC 5481)
  T2 - T1, and T4 - T3, less the smallest of the run. The offset falls out; the drift of the clocks
  does not (typically up to 0.05 ms in each second) and is not removed.

this tool
  late: T1 less the time at which the schedule wanted the probe to leave. Time stamps of the kernel
  are taken as a packet passes; those of this program as it calls and is woken. Two gaps say how
  far they differ: between send() and T1, between T4 and reading. With the kernel's stamps none of
  the three is in a round trip. Where packets lack such a stamp, the error is the p95 of their gap;
  without any it is how late probes left (p95), as replies are read no more punctually. A warning is
  given where it exceeds the mean size of ipdv.
"""
