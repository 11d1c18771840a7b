package transfer

import (
	"slices"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// inOrder is records in the order of their times; where some have the same time,
// which is a whole second in some servers' exports, in one that every owner's
// archive had them in, as far as these agree.
func inOrder(list []*joined) []*joined {
	list = slices.Clone(list)
	for i := 0; i < len(list); {
		n := i + 1
		for n < len(list) && list[n].key == list[i].key {
			n++
		}
		if n-i > 1 {
			tied(list[i:n])
		}
		i = n
	}
	return list
}

// copyOf is an owner's copy of a record.
type copyOf struct {
	seq int64
	j   *joined
}

// tied brings records of one time into order: one whose every owner has nothing
// before it comes next. Archives that contradict each other are not waited for.
func tied(list []*joined) {
	of := map[jid.JID][]copyOf{}
	for _, j := range list {
		for k, who := range j.r.Owners {
			of[who] = append(of[who], copyOf{j.seqs[k], j})
		}
	}
	for _, copies := range of {
		slices.SortFunc(copies, func(a, b copyOf) int { return int(a.seq - b.seq) })
	}
	ready := func(j *joined) bool {
		for _, who := range j.r.Owners {
			if of[who][0].j != j {
				return false
			}
		}
		return true
	}
	rest, out := slices.Clone(list), list[:0]
	for len(rest) > 0 {
		k := max(0, slices.IndexFunc(rest, ready))
		j := rest[k]
		rest = slices.Delete(rest, k, k+1)
		out = append(out, j)
		for _, who := range j.r.Owners {
			of[who] = slices.DeleteFunc(of[who], func(c copyOf) bool { return c.j == j })
		}
	}
}
