/** A history that a killed process leaves behind: its requests in flight are PENDING, none is lost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { CorruptionError } from '../../../fusee/verbs/errors.js';
import { JournalWriter, NO_VALUE, Operation, Outcome, readJournal } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'fusee-journal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function journal(): { path: string; writer: JournalWriter } {
  const path = join(folder, `${count++}.journal`);
  return { path, writer: new JournalWriter(path) };
}

describe('a journal', () => {
  it('is the history that was recorded, in whatever order requests end', () => {
    const { path, writer } = journal();
    const search = writer.begin(1, 7, Operation.SEARCH, NO_VALUE, 100);
    const update = writer.begin(2, 7, Operation.UPDATE, 41, 110);
    writer.complete(update, Outcome.OK, NO_VALUE, 150);
    writer.begin(2, 8, Operation.INSERT, 42, 160);
    writer.complete(search, Outcome.OK, 41, 170);
    writer.close();
    const history = readJournal(path);
    const rows = Array.from({ length: history.count }, (_, i) => [
      history.client[i],
      history.key[i],
      history.operation[i],
      history.outcome[i],
      history.valueWritten[i],
      history.valueRead[i],
      history.invocationNs[i],
      history.responseNs[i],
    ]);
    expect(rows).toEqual([
      [1, 7, Operation.SEARCH, Outcome.OK, NO_VALUE, 41, 100, 170],
      [2, 7, Operation.UPDATE, Outcome.OK, 41, NO_VALUE, 110, 150],
      [2, 8, Operation.INSERT, Outcome.PENDING, 42, NO_VALUE, 160, Number.POSITIVE_INFINITY],
    ]);
  });

  it('holds everything flushed when its process is killed, and nothing of what was not', async () => {
    const path = join(folder, 'killed.journal');
    const module = fileURLToPath(new URL('journal.ts', import.meta.url));
    const script = `
      import { JournalWriter } from ${JSON.stringify(module)};
      const writer = new JournalWriter(${JSON.stringify(path)});
      for (let i = 0; i < 5000; i++) writer.complete(writer.begin(1, i, 2, i, i), 0, -1, i + 1);
      writer.begin(1, 1, 2, 6000, 6000);
      writer.flush();
      writer.begin(1, 2, 2, 6001, 6001);
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    const history = readJournal(path);
    expect(history.count).toBe(5001);
    expect([...history.outcome.subarray(0, 5000)].every((outcome) => outcome === Outcome.OK)).toBe(true);
    expect([history.outcome[5000], history.valueWritten[5000]]).toEqual([Outcome.PENDING, 6000]);
  });

  it('leaves out a last record that was cut short, and refuses one that cannot be', () => {
    const { path, writer } = journal();
    writer.complete(writer.begin(1, 7, Operation.UPDATE, 41, 110), Outcome.OK, NO_VALUE, 150);
    writer.close();
    truncateSync(path, 95);
    expect(readJournal(path).outcome[0]).toBe(Outcome.PENDING);
    truncateSync(path, 48);
    appendFileSync(path, new Uint8Array(Float64Array.of(9, 0, NO_VALUE, 200, 0, 0).buffer));
    expect(() => readJournal(path)).toThrow(CorruptionError);
    expect(() => readJournal(path)).toThrow(/record 1 of 2 cannot be: operation 4 of 1 is not open/);
  });
});
