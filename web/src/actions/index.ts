import type { Action } from './action.ts';
import { openAddContact } from './add-contact.ts';
import { focusComposer } from './focus-composer.ts';
import { markRead } from './mark-read.ts';
import { openSwitcher } from './open-switcher.ts';
import { showShortcuts } from './show-shortcuts.ts';
import { nextConversation, nextUnread, previousConversation } from './step-conversation.ts';
import { toggleDetails } from './toggle-details.ts';

/** Every action with a key of its own, in the order of the shortcut sheet. */
export const ACTIONS: readonly Action[] = [
  openSwitcher,
  nextConversation,
  previousConversation,
  nextUnread,
  markRead,
  focusComposer,
  toggleDetails,
  openAddContact,
  showShortcuts,
];
