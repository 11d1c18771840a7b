import * as m from '../paraglide/messages.js';
import type { Action } from './action.ts';

export const focusComposer: Action = {
  id: 'focus-composer',
  title: m.action_compose,
  keys: ['C'],
  inText: false,
  run: () => document.getElementById('composer')?.focus(),
};
