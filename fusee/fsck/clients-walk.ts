/** The client table: who is at work. */
import { CLIENTS_BASE, CLIENTS_MAX } from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';
import type { Op } from '../verbs/index.js';
import type { Walk } from './walk.js';

/** Notes the clients at work; each is in one place. One round trip. */
export function* walkClients(walk: Walk): Op<void> {
  const { reader, view, accounts, readsBytes, findings, clients } = walk;
  const { words } = reader.local;
  const at = reader.begin().read(view.controlMn, CLIENTS_BASE, CLIENTS_MAX * 8) >>> 2;
  yield* reader.run();
  for (let place = 0; place < CLIENTS_MAX; place++) {
    const [period, cid] = [words[at + 2 * place], words[at + 2 * place + 1]];
    if (cid === 0) continue;
    const other = clients.find((client) => client.cid === cid);
    clients.push({ place, cid, period });
    if (!readsBytes || (other === undefined && cid !== ORPHAN)) continue;
    const message =
      other === undefined
        ? `it names ${cid}, which is nobody's`
        : `client ${cid} is in place ${other.place} too`;
    findings.add('clients', view.controlMn, `place ${place}`, message);
  }
  if (!readsBytes) return;
  accounts[view.controlMn].bytes.clients += CLIENTS_MAX * 8;
  walk.progress(CLIENTS_MAX * 8);
}
