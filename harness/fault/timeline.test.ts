import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../fusee/verbs/index.js';
import { packageRoot } from '../run/package-root.js';
import { clientFaults, clientsAtOnce, joinersIn, planFaults } from './plan.js';
import { type BenchShape, parseTimeline } from './timeline.js';

const bench: BenchShape = { clients: 4, nodes: 3, masters: 0, windowNs: 60e9 };
const parse = (text: string, changes: Partial<BenchShape> = {}) =>
  parseTimeline(text, 'faults.yaml', { ...bench, ...changes });

describe('a timeline', () => {
  it('is a list of events, each with its times in nanoseconds', () => {
    const text = `
# what is to go wrong
- {at: 2s, kill: client 1}
- {at: 1s, stop: node 0, for: 500ms}
- {every: 1s, until: 5s, kill: random client}
- {client: 2, crash: {operation: UPDATE, batch: write, verb: 1, occurrence: 500, bytes: 24}}
- {client: 2, crash: {operation: INSERT, batch: 2}}
- {from: 1s, to: 2s, delay: {client: 0, node: 1, by: 2ms}}
- from: 1s
  to: 2s
  drop: {node: 2}
`;
    const times = { atNs: undefined, everyNs: undefined, untilNs: undefined };
    const link = { fromNs: 1e9, toNs: 2e9 };
    expect(parse(text)).toEqual([
      { ...times, kind: 'kill', atNs: 2e9, target: { role: 'client', index: 1 } },
      { ...times, kind: 'stop', atNs: 1e9, forNs: 5e8, target: { role: 'node', index: 0 } },
      {
        kind: 'kill',
        atNs: undefined,
        everyNs: 1e9,
        untilNs: 5e9,
        target: { role: 'client', index: 'random' },
      },
      {
        kind: 'crash',
        client: 2,
        point: { operation: 'UPDATE', batch: 'write', verb: 1, occurrence: 500, bytes: 24 },
      },
      { kind: 'crash', client: 2, point: { operation: 'INSERT', batch: 2, verb: 0, occurrence: 1 } },
      { ...link, kind: 'delay', client: 0, node: 1, byNs: 2e6 },
      { ...link, kind: 'drop', client: undefined, node: 2 },
    ]);
    expect(
      parse('- {at: 5s, join: 2}\n- {at: 10s, leave: 2}\n- {at: 1s, kill: client 1, replace: true}'),
    ).toEqual([
      { kind: 'join', atNs: 5e9, clients: 2 },
      { kind: 'leave', atNs: 10e9, clients: 2 },
      { ...times, kind: 'kill', atNs: 1e9, target: { role: 'client', index: 1 }, replace: true },
    ]);
    expect(parse('- {at: 3s, kill: master}', { masters: 2 })[0]).toMatchObject({
      target: { role: 'master' },
    });
  });

  it.each([
    ['- {at: 1s, kill: client 9}', '1:18: there is no client 9: this bench has clients 0 to 3; --clients'],
    ['- {at: 1s, stop: node 3, for: 1s}', '1:18: there is no node 3: this bench has nodes 0 to 2; --nodes'],
    [
      '- {at: 1s, kill: master}',
      '1:18: this bench has no master to be killed or stopped: --masters gives one; or name',
    ],
    ['- {at: 1s, kill: bob}', "1:18: the target is \"bob\"; name one such as 'client 1', 'node 0'"],
    ['- {at: 2, kill: client 1}', "1:8: at is '2'; give a time such as"],
    ['- {at: 61s, kill: client 1}', '1:8: at is 61s; choose 0 ms to 60000 ms, within the window: --seconds'],
    ['- {at: 1s, join: 0}', '1:18: join is 0; give a whole number from 1 to 64: say it in several events'],
    ['- {at: 1s, leave: x}', '1:19: leave is "x"; give a whole number from 1 to 64'],
    ['- {at: 61s, join: 1}', '1:8: at is 61s; choose 0 ms to 60000 ms'],
    ['- {join: 1}', '1:3: at is missing; write {at: 5s, join: 2}'],
    ['- {at: 1s, kill: client 1, replace: 2}', '1:37: replace is 2; write true, or leave it out'],
    ['- {at: 1s, kill: node 1, replace: true}', '1:3: replace belongs to clients; a node that dies is not'],
    [
      '- {at: 1s, leave: 4}',
      '1:3: with this event all 4 clients are gone; leave one, or give more by --clients',
    ],
    ['- {kill: client 1}', '1:3: at is missing; say when, by at or by every'],
    ['- {every: 1s, kill: client 1}', '1:3: a client dies once; kill a random one'],
    ['- {at: 1s, until: 2s, kill: client 1}', '1:3: until belongs to every; leave it out'],
    ['- {at: 1s, stop: client 1}', '1:3: for is missing; write {at: 1s, stop: node 0, for: 500ms}'],
    ['- {at: 1s, stop: client 1, for: 16s}', '1:33: for is 16s; choose 1 ms to 15000 ms: what is silent'],
    ['- {at: 1s, kill: client 1, fro: 2s}', "1:28: 'fro' means nothing to kill; leave it out"],
    [
      '- {at: 1s}',
      '1:3: an event has one of kill, stop, crash, delay, drop, join, leave; {"at":"1s"} has not',
    ],
    ['- {at: 1s, kill: client 1, stop: client 1}', '1:3: an event has one of'],
    ['- {client: 4, crash: {operation: UPDATE, batch: 1}}', '1:12: client is 4; give a whole number from 0'],
    ['- {client: 0, crash: {operation: MERGE, batch: 1}}', '1:34: operation is "MERGE"; choose one of'],
    [
      '- {client: 0, crash: {operation: UPDATE, batch: commit}}',
      '1:49: batch is "commit"; choose one of read',
    ],
    ['- {client: 0, crash: {operation: UPDATE, batch: 0}}', '1:49: batch is 0; give a whole number from 1'],
    ['- {client: 0, crash: {operation: UPDATE, batch: 1, byte: 3}}', "1:52: 'byte' means nothing to crash"],
    ['- {client: 0, crash: UPDATE}', '1:22: crash is "UPDATE"; write {client: 2, crash: {operation'],
    [
      '- {client: 0, crash: {operation: UPDATE, batch: primary CAS, bytes: 8}}',
      "1:3: bytes is 8, but 'primary CAS' has no WRITE to die in; choose one of write, log commit, reset",
    ],
    ['- {from: 2s, to: 2s, drop: {node: 1}}', '1:3: from is 2000 ms and to is 2000 ms; let it end after'],
    ['- {from: 1s, to: 2s, delay: {node: 1}}', '1:29: by is missing; write {from: 1s, to: 2s, delay:'],
    ['- {from: 1s, to: 2s, delay: {node: 1, by: 0}}', '1:43: by is 0; choose 0.001 ms to 1000 ms'],
    ['faults: none', "1:1: a timeline is a list of events such as '- {at: 2s, kill: client 1}'"],
    ['', "1:1: a timeline is a list of events such as '- {at: 2s, kill: client 1}'"],
    ['- {at: 1s, kill: client 1', '1:26: not YAML: '],
  ])('refuses %s where it is wrong', (text, message) => {
    expect(() => parse(text)).toThrow(UsageError);
    expect(() => parse(text)).toThrow(`faults.yaml:${message}`);
  });

  it('leaves somebody alive, and says which event kills the last', () => {
    const kills = [0, 1, 2].map((client) => `- {at: 1s, kill: client ${client}}\n`).join('');
    expect(parse(kills)).toHaveLength(3);
    const crash = '- {client: 3, crash: {operation: UPDATE, batch: 1}}';
    expect(() => parse(kills + crash)).toThrow(
      'faults.yaml:4:3: with this event all 4 clients die; leave one',
    );
    expect(() => parse(`${kills}- {at: 1s, kill: random client}`)).toThrow(':4:3: with this event all');
    expect(() => parse('- {at: 1s, kill: node 0}', { nodes: 1 })).toThrow('all 1 nodes die');
    const masters = '- {at: 1s, kill: master}\n- {at: 2s, kill: master}\n';
    expect(() => parse(masters, { masters: 2 })).toThrow(
      ':2:3: with this event all 2 masters die; leave one',
    );
    expect(() => parse('- {every: 1s, kill: master}', { masters: 2 })).toThrow(
      ':1:3: masters die one by one, and one is to be left; say at for each of them',
    );
    // Whoever leads by then: another one each time.
    const plan = planFaults(parse(masters, { masters: 3 }), { ...bench, masters: 3, seed: 1 });
    expect(plan.map((fault) => 'target' in fault && fault.target.role)).toEqual(['master', 'master']);
  });

  it.each(readdirSync(join(packageRoot, 'harness', 'fault', 'examples')))('%s is one', (name) => {
    const path = join(packageRoot, 'harness', 'fault', 'examples', name);
    expect(parseTimeline(readFileSync(path, 'utf8'), path, bench).length).toBeGreaterThan(0);
  });
});

describe('a plan', () => {
  const planOf = (text: string, seed = 1, changes: Partial<BenchShape> = {}) =>
    planFaults(parse(text, changes), { ...bench, ...changes, seed });
  const targets = (text: string, seed: number) =>
    planOf(text, seed).map((fault) => ('target' in fault ? fault.target.index : -1));

  it('draws random targets from the seed, the same for the same seed, and nobody twice', () => {
    const text = '- {every: 1s, kill: random client}';
    const drawn = Array.from({ length: 20 }, (_, seed) => targets(text, seed));
    expect(Array.from({ length: 20 }, (_, seed) => targets(text, seed))).toEqual(drawn);
    expect(new Set(drawn.map(String)).size).toBeGreaterThan(5);
    // Three of four die: one is left alive.
    for (const three of drawn) expect([three.length, new Set(three).size]).toEqual([3, 3]);
  });

  it('leaves those alone whose death is spoken for', () => {
    const text = '- {at: 9s, kill: client 1}\n- {every: 1s, until: 8s, kill: random client}';
    for (let seed = 0; seed < 20; seed++) expect(targets(text, seed).filter((i) => i === 1)).toEqual([1]);
  });

  it('writes repetitions out until their end or that of the window', () => {
    const times = (text: string) => planOf(text).map((fault) => ('atNs' in fault ? fault.atNs / 1e9 : -1));
    expect(times('- {every: 10s, stop: node 1, for: 1s}')).toEqual([10, 20, 30, 40, 50, 60]);
    expect(times('- {at: 1s, every: 2s, until: 6s, stop: random client, for: 1s}')).toEqual([1, 3, 5]);
  });

  it('gives each client its own share', () => {
    const plan = planOf(`
- {at: 1s, kill: client 1}
- {client: 2, crash: {operation: UPDATE, batch: write}}
- {from: 1s, to: 2s, drop: {client: 2, node: 0}}
- {from: 1s, to: 2s, delay: {node: 1, by: 1ms}}
`);
    const share = (client: number) => {
      const { mayDie, crashes, links } = clientFaults(plan, client);
      return [mayDie, crashes.length, links.map(({ kind }) => kind)];
    };
    expect([0, 1, 2].map(share)).toEqual([
      [false, 0, ['delay']],
      [true, 0, ['delay']],
      [false, 1, ['drop', 'delay']],
    ]);
  });

  it('numbers those that join behind the others, and lets leave who joined last', () => {
    const plan = planOf(
      '- {at: 1s, join: 2}\n- {at: 3s, leave: 1}\n- {at: 2s, join: 1}\n- {at: 4s, leave: 2}',
    );
    expect(plan.map((fault) => [fault.kind, 'client' in fault ? fault.client : -1])).toEqual([
      ['join', 4],
      ['join', 5],
      ['join', 6],
      ['leave', 6],
      ['leave', 5],
      ['leave', 4],
    ]);
    expect([joinersIn(plan), clientsAtOnce(plan, bench.clients)]).toEqual([3, 7]);
  });

  it('lets somebody join for each client that is replaced, who may be killed in turn', () => {
    const plan = planOf('- {every: 1s, kill: random client, replace: true}', 3);
    expect(plan.length).toBe(120);
    let present = [0, 1, 2, 3];
    let next = 4;
    for (let i = 0; i < plan.length; i += 2) {
      const [kill, join] = [plan[i], plan[i + 1]];
      if (kill.kind !== 'kill' || join.kind !== 'join') throw new Error('a kill without its replacement');
      expect(present).toContain(kill.target.index);
      expect([join.client, join.atNs]).toEqual([next, kill.atNs]);
      present = [...present.filter((client) => client !== kill.target.index), next++];
    }
    expect(clientsAtOnce(plan, bench.clients)).toBe(4);
  });

  it('draws nobody who has left', () => {
    for (let seed = 0; seed < 20; seed++) {
      const plan = planOf(
        '- {at: 1s, join: 1}\n- {at: 2s, leave: 1}\n- {every: 3s, kill: random client}',
        seed,
      );
      expect(plan.flatMap((fault) => ('target' in fault ? [fault.target.index] : []))).not.toContain(4);
    }
  });
});
