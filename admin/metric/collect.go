package metric

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// collector reads the numbers when it is asked for them. All its fields are
// set once.
type collector struct {
	src Sources
	d   map[string]*prometheus.Desc
}

// table is every metric of ours: name, what it tells, labels.
func table() [][]string {
	return [][]string{
		{"info", "Always 1; says which version runs.", "version"},
		{"stanzas_total", "Stanzas that went through a verb of the path (accept, judge, plan, commit, fanout, write).", "verb", "kind"},
		{"refusals_total", "Stanzas that went no further, by verb and by the condition the sender was told.", "verb", "condition"},
		{"commit_messages", "Messages kept by one commit."},
		{"commit_seconds", "Time one commit of messages took, flush included."},
		{"commit_wait_seconds", "Time a sender's messages waited for their commit to begin."},
		{"delivery_seconds", "Time from a message's plan to when it is on disk and in its recipients' queues, which is when it can be acknowledged."},
		{"commit_failures_total", "Messages that could not be kept; their senders were told."},
		{"queued_stanzas_total", "Stanzas that went to a session's queue."},
		{"queue_overflows_total", "Sessions that were ended because their queue was full."},
		{"logins_total", "Attempts to log in, by mechanism and result.", "mechanism", "result"},
		{"accounts_online", "Accounts with at least one session."},
		{"sessions", "Sessions with a connection, and without one until they are resumed.", "state"},
		{"connections", "XMPP connections.", "edge"},
		{"connections_parked", "XMPP connections that are idle and hold no goroutine."},
		{"connections_unauthenticated", "Connections that are not logged in yet."},
		{"connections_open", "Connections of any kind, as they count against the limit of open files."},
		{"received_bytes_total", "Bytes received by a listener's connections, TLS included.", "listener"},
		{"sent_bytes_total", "Bytes sent by a listener's connections, TLS included.", "listener"},
		{"archive_position", "Sequence number of the newest archived message that was handed out."},
		{"unconfirmed_messages", "Messages that no session has confirmed yet."},
		{"waiting_parked_total", "Messages written down as waiting because no session confirmed them in time."},
		{"waiting_settled_total", "Waiting messages struck out because a session has confirmed them."},
		{"store_batch_writes", "Writes in one transaction of the store."},
		{"store_transaction_seconds", "Time one transaction of the store took, flush included."},
		{"store_flush_seconds", "Time the flush of one transaction took."},
		{"store_queued_writes", "Writes that wait for the store."},
		{"store_bytes", "Size of the data set on disk."},
		{"store_wal_pages", "Pages (4 KiB) in SQLite's write-ahead log."},
		{"store_poisoned", "1 if the data set takes no writes any more: the server is about to end."},
		{"disk_free_bytes", "Room left on the file system of the data folder."},
		{"disk_size_bytes", "Size of the file system of the data folder."},
		{"certificate_expiry_timestamp_seconds", "When the certificate ends."},
	}
}

func newCollector(src Sources) *collector {
	c := &collector{src: src, d: map[string]*prometheus.Desc{}}
	for _, row := range table() {
		c.d[row[0]] = prometheus.NewDesc("parlance_"+row[0], row[1], row[2:], nil)
	}
	return c
}

// Describe meets prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.d {
		out <- d
	}
}

// Collect meets prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := sheet{c, out}
	s.gauge("info", 1, c.src.Version)
	s.path(c.src.Meter)
	s.store(c.src.Meter)
	for name, t := range c.src.Traffic {
		s.count("received_bytes_total", t.In.Count(), name)
		s.count("sent_bytes_total", t.Out.Count(), name)
	}
	s.state(c.src.State())
}

// sheet is one scrape.
type sheet struct {
	c   *collector
	out chan<- prometheus.Metric
}

func (s sheet) put(name string, t prometheus.ValueType, v float64, labels []string) {
	s.out <- prometheus.MustNewConstMetric(s.c.d[name], t, v, labels...) // panics only where table and call differ, which any scrape shows
}

func (s sheet) count(name string, n uint64, labels ...string) {
	s.put(name, prometheus.CounterValue, float64(n), labels)
}

func (s sheet) gauge(name string, v float64, labels ...string) {
	s.put(name, prometheus.GaugeValue, v, labels)
}

func (s sheet) histogram(name string, b meter.Buckets) {
	s.out <- prometheus.MustNewConstHistogram(s.c.d[name], b.Count, b.Sum, b.Upto)
}

// path is what the six verbs did.
func (s sheet) path(m *meter.Meter) {
	for v := range meter.Verbs {
		for _, k := range meter.Kinds() {
			// Plan, commit and fanout are a message's; presence and iq take the short way.
			if k == stanza.Message || v < meter.Plan || v == meter.Write {
				s.count("stanzas_total", m.Count(v, k), v.String(), k.String())
			}
		}
	}
	m.Refused.Each(func(verb, condition string, n uint64) { s.count("refusals_total", n, verb, condition) })
	m.Logins.Each(func(mech, result string, n uint64) { s.count("logins_total", n, mech, result) })
	s.histogram("commit_messages", m.Group.Read())
	s.histogram("commit_seconds", m.Keep.Read())
	s.histogram("commit_wait_seconds", m.Wait.Read())
	s.histogram("delivery_seconds", m.Deliver.Read())
	s.count("commit_failures_total", m.Unkept.Count())
	s.count("queued_stanzas_total", m.Handed.Count())
	s.count("queue_overflows_total", m.Overflow.Count())
}

func (s sheet) store(m *meter.Meter) {
	s.histogram("store_batch_writes", m.Batch.Read())
	s.histogram("store_transaction_seconds", m.Transac.Read())
	s.histogram("store_flush_seconds", m.Flush.Read())
}

func (s sheet) state(st State) {
	s.gauge("accounts_online", float64(st.Accounts))
	s.gauge("sessions", float64(st.Connected), "connected")
	s.gauge("sessions", float64(st.Hibernating), "hibernating")
	s.gauge("connections", float64(st.TCP), "tcp")
	s.gauge("connections", float64(st.WebSocket), "websocket")
	s.gauge("connections_parked", float64(st.Parked))
	s.gauge("connections_unauthenticated", float64(st.Unauthenticated))
	s.gauge("connections_open", float64(st.Open))
	s.gauge("archive_position", float64(st.ArchivePosition))
	s.gauge("unconfirmed_messages", float64(st.Unconfirmed))
	s.count("waiting_parked_total", st.Parkings)
	s.count("waiting_settled_total", st.Settlements)
	s.gauge("store_queued_writes", float64(st.StoreQueue))
	s.gauge("store_wal_pages", float64(st.WALPages))
	poisoned := 0.0
	if st.Poisoned {
		poisoned = 1
	}
	s.gauge("store_poisoned", poisoned)
	for name, n := range map[string]int64{"store_bytes": st.StoreBytes, "disk_free_bytes": st.DiskFree, "disk_size_bytes": st.DiskSize} {
		if n >= 0 {
			s.gauge(name, float64(n))
		}
	}
	if !st.Certificate.IsZero() {
		s.gauge("certificate_expiry_timestamp_seconds", float64(st.Certificate.Unix()))
	}
}
