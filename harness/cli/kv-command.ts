/** `fusee kv`: single requests to a running pool, from the shell. */
import { isUtf8 } from 'node:buffer';
import { Command } from 'commander';
import { type Client, connect } from '../../fusee/client/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { type AccessFlags, accessOf, withAccess } from './access.js';

interface Flags extends AccessFlags {
  json: boolean;
}

/** Exit status 1 for an outcome that is not OK: scripts can branch on it. */
const report = (result: { outcome: string; value?: Uint8Array }, json: boolean): void => {
  const { outcome, value } = result;
  if (json) process.stdout.write(`${JSON.stringify({ outcome, ...(value && asJson(value)) })}\n`);
  else if (value !== undefined) {
    process.stdout.write(value);
    if (process.stdout.isTTY) process.stdout.write('\n');
  } else (outcome === 'OK' ? process.stdout : process.stderr).write(`${outcome}\n`);
  if (outcome !== 'OK') process.exitCode = 1;
};

/** A value in JSON: as text, or in base64 when it is none. */
const asJson = (value: Uint8Array): { value: string; encoding?: 'base64' } =>
  isUtf8(value)
    ? { value: Buffer.from(value).toString('utf8') }
    : { value: Buffer.from(value).toString('base64'), encoding: 'base64' };

/**
 * Node turns bytes of the command line that are no UTF-8 into U+FFFD: different keys would become one.
 * @throws UsageError for text that holds it.
 */
function requireText(what: string, text: string): void {
  if (!text.includes('\uFFFD')) return;
  throw new UsageError(
    `the ${what} holds bytes that are no UTF-8 (or U+FFFD itself), which the command line cannot carry; ` +
      'pass such bytes through the API, as a Uint8Array',
  );
}

async function withClient(flags: Flags, use: (client: Client) => Promise<void>): Promise<void> {
  const client = await connect({ ...accessOf(flags), coroutines: 1, cache: { bytes: 0 } });
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** Makes the command. */
export function kvCommand(): Command {
  const kv = new Command('kv').description('talk to a running pool');
  const add = (name: string, description: string): Command =>
    withAccess(kv.command(name).description(description)).option('--json', 'print one JSON object', false);
  const request = (
    name: string,
    description: string,
    send: (client: Client, key: string, value: string) => Promise<{ outcome: string; value?: Uint8Array }>,
  ): void => {
    const hasValue = name.includes('<value>');
    add(name, description).action((key: string, ...rest: unknown[]) => {
      const [value, flags] = hasValue ? [rest[0] as string, rest[1] as Flags] : ['', rest[0] as Flags];
      requireText('key', key);
      requireText('value', value);
      return withClient(flags, async (client) => report(await send(client, key, value), flags.json));
    });
  };
  request('get <key>', 'print the value of a key', (client, key) => client.search(key));
  request('put <key> <value>', 'set a key, whether it is there or not', (client, key, value) =>
    client.put(key, value),
  );
  request('insert <key> <value>', 'add a key that is not there', (client, key, value) =>
    client.insert(key, value),
  );
  request('update <key> <value>', 'replace the value of a key that is there', (client, key, value) =>
    client.update(key, value),
  );
  request('delete <key>', 'remove a key', (client, key) => client.delete(key));
  add('stats', "print the pool's shape and how many blocks each node has handed out").action(printStats);
  return kv.addHelpText('after', '\nExit status: 0 for OK, 1 for any other outcome, 2 for wrong usage.\n');
}

const printStats = (flags: Flags): Promise<void> =>
  withClient(flags, async (client) => {
    const stats = await client.poolStats();
    if (flags.json) process.stdout.write(`${JSON.stringify(stats)}\n`);
    else
      for (const [name, value] of Object.entries(stats))
        process.stdout.write(`${name}: ${JSON.stringify(value)}\n`);
  });
