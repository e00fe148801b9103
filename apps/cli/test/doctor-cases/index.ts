/** Every set-up of `doctor-cases.json`, by its id. */

import { credentials } from './credentials.ts';
import { grants } from './grants.ts';
import { network } from './network.ts';
import { realms } from './realms.ts';
import type { Prepare } from './set-up.ts';

export const setUps: Readonly<Record<string, Prepare>> = { ...credentials, ...grants, ...realms, ...network };
