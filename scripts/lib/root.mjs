// The folder of the package: a clone's or, installed, the one in node_modules.
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
