/** All tasks, by name. */
import type { Task } from '../task.js';
import { emoji } from './emoji.js';

export const TASKS: readonly Task[] = [emoji];
