/** Superblocks: every node is the node it should be, of one and the same pool. */
import {
  type PoolConfig,
  PULSE_BYTES,
  PULSE_OFFSET,
  readSuperblock,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_USED_BYTES,
} from '../layout/index.js';
import { FuseeError, type Op } from '../verbs/index.js';
import type { Walk } from './walk.js';

/** Compares all superblocks with the configuration that the walk goes by; false when one is another. */
export function* walkSuperblocks(walk: Walk): Op<boolean> {
  const { reader, accounts, geometry, view } = walk;
  let isSound = true;
  for (let mn = 0; mn < geometry.config.nodes; mn++) {
    if (view.isDead(mn)) continue;
    const at = reader.begin().read(mn, 0, SUPERBLOCK_USED_BYTES);
    yield* reader.run();
    const fail = (message: string): void => {
      isSound = false;
      walk.findings.add('superblock', mn, 'offset 0', message);
    };
    compare(geometry.config, mn, {
      bytes: reader.local.bytes.subarray(at, at + SUPERBLOCK_USED_BYTES),
      fail,
    });
    accounts[mn].bytes.superblock += SUPERBLOCK_BYTES;
    if (!walk.readsBytes) continue;
    // The pulse beats meanwhile, and says nothing of the pool.
    walk.progress(SUPERBLOCK_USED_BYTES + PULSE_BYTES);
    const behind = PULSE_OFFSET + PULSE_BYTES;
    const rest = { from: SUPERBLOCK_USED_BYTES, bytes: PULSE_OFFSET - SUPERBLOCK_USED_BYTES };
    yield* walk.requireZero(mn, rest, "the superblock's reserve");
    const end = { from: behind, bytes: SUPERBLOCK_BYTES - behind };
    yield* walk.requireZero(mn, end, "the superblock's reserve");
  }
  return isSound;
}

function compare(
  config: PoolConfig,
  mn: number,
  { bytes, fail }: { bytes: Uint8Array; fail: (message: string) => void },
): void {
  try {
    const found = readSuperblock(bytes, `node ${mn}`);
    if (found.node !== mn) fail(`it says that this is node ${found.node}`);
    for (const name of Object.keys(config) as (keyof PoolConfig)[]) {
      if (found.config[name] === config[name]) continue;
      fail(`${name} is ${found.config[name]}, but the pool was opened with ${config[name]}`);
    }
  } catch (error) {
    if (!(error instanceof FuseeError)) throw error;
    fail(error.message);
  }
}
