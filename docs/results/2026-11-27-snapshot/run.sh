#!/bin/sh
# A thousand kills of a member with a snapshot, at the moments that this seed gives.
SWIMRING_SNAPSHOT_KILLS=1000 SWIMRING_SNAPSHOT_KILLS_SEED=20261127 \
  cargo test -p swimring --test it snapshot_kills::a_member_that -- --nocapture
