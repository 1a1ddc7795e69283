/** A master of a run: a process of its own, which can be killed, and ends when the harness does. */
import { followParent } from '../../fusee/fabric/shm-process.js';
import { MasterHost } from '../../fusee/host/master-host.js';
import { type FromMasterProcess, failed, type ToMasterProcess } from './messages.js';
import { leaveSignalsToParent } from './obey.js';

/** Time for a last message to leave. */
const FAREWELL_MS = 100;

const abort = new AbortController();
let host: MasterHost | null = null;

const send = (message: FromMasterProcess): void => {
  process.send?.(message);
};

function fail(error: unknown): void {
  if (abort.signal.aborted) process.exit(0);
  send(failed(error));
  setTimeout(() => process.exit(1), FAREWELL_MS);
}

async function obey(message: ToMasterProcess): Promise<void> {
  if (message.type === 'settle') {
    if (host === null) return;
    if (message.timeoutMs !== null) await host.settled(message.timeoutMs);
    const { recoveries, changes } = host.status();
    send({ type: 'settled', recoveries, changes });
    return;
  }
  const { type: _, access, ...how } = message;
  const onStandby = (): void => send({ type: 'standing by' });
  host = await MasterHost.start({ ...access, ...how, rehearses: true, signal: abort.signal, onStandby });
  send({ type: 'leading', atNs: Number(process.hrtime.bigint()) });
}

// Woken, not killed: it has names to remove.
if (!followParent(Number(process.argv[2]), { isWoken: true })) process.exit(0);
process.on('message', (message: ToMasterProcess) => {
  obey(message).catch(fail);
});
process.on('disconnect', () => {
  abort.abort();
  const end = (): never => process.exit(0);
  if (host === null) end();
  else host.close().then(end, end);
});
leaveSignalsToParent();
