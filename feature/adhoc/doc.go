// Package adhoc runs ad-hoc commands (XEP-0050 1.3): the commands are values
// (im.Command) that other features carry, this is the engine for all of them:
// sessions, stages, the rules for execute, next, prev, complete and cancel, what
// a form demands of an answer, and the commands' nodes in service discovery.
//
// Sessions are in memory, belong to the full address that opened them, end after
// ten minutes without a step, and are bounded per account and in all. Who may run
// a command is asked at every step, so that a right that was taken away counts at
// once; who may not run it does not see it.
//
// It answers in English and says so; XEP-0050 §3.7 would have it refuse other
// languages (bad-locale), which would help nobody.
//
// It owns no table and starts no goroutine. Lock: sessions.mu, a leaf.
// im/deliver calls the handler, feature/disco asks for nodes. It does not know
// what any command does.
package adhoc
