/** Which events of a schedule can happen in the state that a run is in. */

import { enabledUnits } from '../actor.js';
import type { Event } from '../explorer/event.js';
import type { World } from '../world.js';

/** True when the event can happen now, whatever the scenario's budget of failures says. */
export function canHappen(world: World, event: Event): boolean {
  const { nodes } = world.pool.config;
  if (event.type === 'kill') return event.mn < nodes && world.mayDie(event.mn);
  if (event.type === 'arbitrate') return world.mayArbitrate();
  if (event.type === 'stray') return event.index < world.strays;
  const actor = world.actors[event.client];
  if (event.type === 'adopt') return actor?.awaitsView === true;
  if (actor === undefined || actor.run.batch === null || actor.run.isCut) return false;
  switch (event.type) {
    case 'unit':
    case 'lose':
      return enabledUnits(actor).includes(event.unit);
    case 'resume':
      return world.enabled().some((e) => isSame(e, event));
    case 'crash':
      return true;
    case 'cut':
      return !actor.isRecovery && event.mn < nodes && actor.isCut[event.mn] !== true;
  }
}

const isSame = (a: Event, b: Event & { readonly type: 'resume' }): boolean =>
  a.type === 'resume' && a.client === b.client && a.choice === b.choice;
