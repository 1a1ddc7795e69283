/** `fusee kv`: single requests to a running pool, from the shell. */
import { Command } from 'commander';
import { type Client, type ConnectOptions, connect } from '../../fusee/client/index.js';

interface Flags {
  pool: string;
  json: boolean;
}

/** Exit status 1 for an outcome that is not OK: scripts can branch on it. */
const report = (result: { outcome: string; value?: Uint8Array }, json: boolean): void => {
  if (json) {
    const value = result.value === undefined ? {} : { value: Buffer.from(result.value).toString('utf8') };
    process.stdout.write(`${JSON.stringify({ outcome: result.outcome, ...value })}\n`);
  } else if (result.value !== undefined) {
    process.stdout.write(result.value);
    if (process.stdout.isTTY) process.stdout.write('\n');
  } else {
    (result.outcome === 'OK' ? process.stdout : process.stderr).write(`${result.outcome}\n`);
  }
  if (result.outcome !== 'OK') process.exitCode = 1;
};

async function withClient(flags: Flags, use: (client: Client) => Promise<void>): Promise<void> {
  const options: ConnectOptions = { pool: flags.pool, coroutines: 1 };
  const client = await connect(options);
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

export function kvCommand(): Command {
  const kv = new Command('kv').description('talk to a running pool');
  const add = (name: string, description: string): Command =>
    kv
      .command(name)
      .description(description)
      .option('-p, --pool <name>', 'the pool', 'default')
      .option('--json', 'print one JSON object', false);
  add('get <key>', 'print the value of a key').action((key: string, flags: Flags) =>
    withClient(flags, async (client) => report(await client.search(key), flags.json)),
  );
  add('put <key> <value>', 'set a key, whether it is there or not').action(
    (key: string, value: string, flags: Flags) =>
      withClient(flags, async (client) => report(await client.put(key, value), flags.json)),
  );
  add('insert <key> <value>', 'add a key that is not there').action(
    (key: string, value: string, flags: Flags) =>
      withClient(flags, async (client) => report(await client.insert(key, value), flags.json)),
  );
  add('update <key> <value>', 'replace the value of a key that is there').action(
    (key: string, value: string, flags: Flags) =>
      withClient(flags, async (client) => report(await client.update(key, value), flags.json)),
  );
  add('delete <key>', 'remove a key').action((key: string, flags: Flags) =>
    withClient(flags, async (client) => report(await client.delete(key), flags.json)),
  );
  add('stats', "print the pool's shape and how many blocks each node has handed out").action((flags: Flags) =>
    withClient(flags, async (client) => {
      const stats = await client.poolStats();
      if (flags.json) process.stdout.write(`${JSON.stringify(stats)}\n`);
      else
        for (const [name, value] of Object.entries(stats))
          process.stdout.write(`${name}: ${JSON.stringify(value)}\n`);
    }),
  );
  return kv;
}
