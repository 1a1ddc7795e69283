/** A schedule told verb by verb, for a person. */
import { isKv, isTent, isTomb, ownerPointer } from '../../fusee/layout/index.js';
import { Outcome } from '../../fusee/ops/index.js';
import { type Word, word } from '../../fusee/verbs/index.js';
import type { Event } from './explorer/event.js';
import { type Unit, UnitKind } from './explorer/units.js';
import { FOUND } from './scenario/client-run.js';
import {
  initialValue,
  MAX_CLIENTS,
  MAX_KEYS,
  MAX_REQUESTS,
  type Scenario,
  scenarioFlags,
} from './scenario/scenario.js';
import { formatSchedule } from './schedule.js';
import { World } from './world.js';

const KINDS = ['SEARCH', 'INSERT', 'UPDATE', 'DELETE', 'PUT', 'WRITE'];

/** Replays a schedule and describes it; the last lines say what was wrong, and how to see it again. */
export function describeSchedule(scenario: Scenario, events: readonly Event[]): string {
  const world = new World(scenario);
  const lines = [`scenario ${scenario.name}, r = ${scenario.replicas}`];
  if (scenario.variant !== undefined) lines.push(`with ${scenario.variant.name}`);
  let wrong: string | undefined;
  for (const event of events) {
    const line = describeEvent(world, event, () => {
      wrong = world.apply(event);
    });
    // Parts of one WRITE that nothing came between are told once; a torn one stands out.
    const before = lines.at(-1)?.trim();
    const whole = line.startsWith('... ') ? line.slice(4) : line;
    if (whole !== line && before === whole.replace(' WRITEs ', ' WRITEs the first part of ')) lines.pop();
    if (whole !== '') lines.push(`  ${whole}`);
    if (wrong !== undefined) break;
  }
  wrong ??= world.isOver ? world.wrongAtEnd() : undefined;
  lines.push(`slots at the end: ${describeSlots(world)}`);
  lines.push(wrong ?? endOf(world));
  lines.push(`replay: fusee verify ${scenarioFlags(scenario)} --replay '${formatSchedule(events)}'`);
  return lines.join('\n');
}

function endOf(world: World): string {
  if (world.isOver) return 'nothing is wrong';
  const isStuck = world.enabled().every((event) => event.type === 'crash');
  return isStuck ? 'somebody would wait for ever' : 'the schedule ends here, before the clients have';
}

function describeEvent(world: World, event: Event, apply: () => unknown): string {
  if (event.type === 'kill') {
    apply();
    return `MN ${event.mn} DIES`;
  }
  if (event.type === 'arbitrate' || event.type === 'stray') {
    apply();
    const what =
      event.type === 'stray'
        ? 'a verb of a dead client executes'
        : 'the master decides, and publishes the next view';
    return `${what}: ${describeSlots(world)}`;
  }
  const actor = world.actors[event.client];
  const who = `${actor.isRecovery ? `recovery of client ${event.client}` : `client ${event.client}`}`;
  if (event.type === 'unit' || event.type === 'lose') {
    const unit = actor.units[event.unit];
    const swap = world.interner.wordAt(unit.swap, word());
    const expect = world.interner.wordAt(unit.expect, word());
    const before = unit.kind <= UnitKind.CAS ? slotAt(world, unit) : word();
    apply();
    const found = describeWord(world, before);
    const where = `${placeName(world, unit)}${event.type === 'lose' ? ', unanswered' : ''}`;
    switch (unit.kind) {
      case UnitKind.READ_SLOT:
        return `${who} READs ${where}: ${found}`;
      case UnitKind.CAS: {
        const isOk = before.lo === expect.lo && before.hi === expect.hi;
        const change = `${describeWord(world, expect)} -> ${describeWord(world, swap)}`;
        return `${who} CASes ${where}, ${change}: ${isOk ? 'done' : `FAILS, found ${found}`}`;
      }
      case UnitKind.READ_LINE:
        return `${who} READs ${where}`;
      default: {
        const [first, last] = [
          unit.fromBytes === 0,
          unit === actor.units.findLast((u) => u.verb === unit.verb),
        ];
        const what = `${lengthName(unit)}: ${where}`;
        if (first && !last) return `${who} WRITEs the first part of ${what}`;
        return first ? `${who} WRITEs ${what}` : `... ${who} WRITEs ${what}`;
      }
    }
  }
  if (event.type === 'resume' || event.type === 'adopt') {
    const request = requestName(world.scenario, event.client, actor.run.request);
    apply();
    const answers = actor.run.responses.map((r) => `answers ${request}: ${resultName(r)}`);
    if (actor.run.error !== undefined) answers.push(`stops: ${actor.run.error}`);
    if (event.type === 'adopt') answers.unshift('goes on in the next view');
    return answers.length > 0 ? `${who} ${answers.join(', ')}` : '';
  }
  apply();
  return event.type === 'crash' ? `${who} DIES` : `${who} loses its link to MN ${event.mn}`;
}

/** A request, as traces call it. */
export function requestName(scenario: Scenario, client: number, request: number): string {
  const step = scenario.programs[client][request];
  return step === undefined ? 'nothing' : `${KINDS[step.kind]} key ${step.key}`;
}

function resultName(result: number): string {
  if (result > FOUND) return `value of ${valueName(result - FOUND)}`;
  return Object.entries(Outcome).find(([, value]) => value === result)?.[0] ?? String(result);
}

function valueName(value: number): string {
  for (let key = 0; key < MAX_KEYS; key++) if (value === initialValue(key)) return 'the start';
  return `client ${Math.floor((value - 1) / MAX_REQUESTS)}'s request ${((value - 1) % MAX_REQUESTS) + 1}`;
}

const lengthName = (unit: Unit): string =>
  unit.lineOffset - unit.fromBytes === 0
    ? 'its object'
    : unit.toBytes <= 1
      ? 'a reset used bit'
      : 'its log commit';

function placeName(world: World, unit: Unit): string {
  const { replicas, dataReplicas } = world.scenario;
  if (unit.kind <= UnitKind.CAS) {
    const replica = unit.place % replicas;
    const where = replica === 0 ? 'the primary' : `backup ${replica}`;
    return `slot ${Math.floor(unit.place / replicas)} on ${where}`;
  }
  const cell = Math.floor(unit.place / dataReplicas);
  const owner = unit.owner >= MAX_CLIENTS ? 'the start' : `client ${unit.owner}`;
  return `object ${cell} of ${owner}, replica ${unit.place % dataReplicas}`;
}

function slotAt(world: World, unit: Unit): Word {
  const { replicas } = world.scenario;
  return world.slotWord(Math.floor(unit.place / replicas), unit.place % replicas, word());
}

/** A slot's word by whose object it names. */
function describeWord(world: World, w: Word): string {
  if (w.lo === 0 && w.hi === 0) return 'EMPTY';
  const { client, cell } = world.pool.cellAt(ownerPointer(w));
  const owner = client >= MAX_CLIENTS ? `start.${cell}` : `${client}.${cell}`;
  return `${isKv(w) ? 'KV' : isTent(w) ? 'TENT' : isTomb(w) ? 'TOMB' : 'word'}(${owner})`;
}

function describeSlots(world: World): string {
  return world.scenario.slots
    .map((_, slot) => {
      const words = Array.from({ length: world.scenario.replicas }, (_unused, r) =>
        describeWord(world, world.slotWord(slot, r, word())),
      );
      return `${slot} = ${words.join(' | ')}`;
    })
    .join('; ');
}
