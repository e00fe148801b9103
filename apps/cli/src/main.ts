#!/usr/bin/env node
/** The entry of the command. */

import { runInProcess } from './process.ts';
import { program } from './program.ts';

runInProcess((surroundings, args) => program(surroundings)(args));
