package pubsub

// In all of these $1 is the service, $2 the node.
const (
	sqlNode  = `SELECT config, created FROM pubsub_node WHERE service = $1 AND node = $2`
	sqlNodes = `SELECT node, config, created FROM pubsub_node WHERE service = $1 ORDER BY node`
	sqlCount = `SELECT count(*) FROM pubsub_node WHERE service = $1`

	sqlAddNode = `INSERT INTO pubsub_node (service, node, config, created) VALUES ($1, $2, $3, $4)`
	sqlSetNode = `UPDATE pubsub_node SET config = $3 WHERE service = $1 AND node = $2`

	sqlAffiliations    = `SELECT jid, affiliation FROM pubsub_affiliation WHERE service = $1 AND node = $2`
	sqlAllAffiliations = `SELECT node, jid, affiliation FROM pubsub_affiliation WHERE service = $1`
	sqlAffiliate       = `INSERT INTO pubsub_affiliation (service, node, jid, affiliation) VALUES ($1, $2, $3, $4)
ON CONFLICT (service, node, jid) DO UPDATE SET affiliation = excluded.affiliation`
	sqlDisaffiliate = `DELETE FROM pubsub_affiliation WHERE service = $1 AND node = $2 AND jid = $3`

	sqlSubs    = `SELECT jid, state, options FROM pubsub_subscription WHERE service = $1 AND node = $2 ORDER BY at, jid`
	sqlAllSubs = `SELECT node, jid, state, options FROM pubsub_subscription WHERE service = $1 ORDER BY at, jid`
	sqlAddSub  = `INSERT INTO pubsub_subscription (service, node, jid, bare, state, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (service, node, jid) DO UPDATE SET state = excluded.state`
	sqlOptions     = `UPDATE pubsub_subscription SET options = $4, temporary = $5 WHERE service = $1 AND node = $2 AND jid = $3`
	sqlDropTemps   = `DELETE FROM pubsub_subscription WHERE temporary = 1`
	sqlDropSub     = `DELETE FROM pubsub_subscription WHERE service = $1 AND node = $2 AND jid = $3`
	sqlDropSubs    = `DELETE FROM pubsub_subscription WHERE service = $1 AND node = $2 AND bare = $3`
	sqlSubServices = `SELECT DISTINCT service FROM pubsub_subscription WHERE bare = $1 AND state = 'subscribed'`

	// $3 bounds when an item may have been published, $4 and $5 are what seq lies between, $6 how many.
	sqlItems = `SELECT id, seq, publisher, at, payload FROM pubsub_item
WHERE service = $1 AND node = $2 AND at > $3 AND seq > $4 AND seq < $5 ORDER BY seq `
	sqlItem = `SELECT id, seq, publisher, at, payload FROM pubsub_item
WHERE service = $1 AND node = $2 AND at > $3 AND id = $4`
	sqlItemCount = `SELECT count(*) FROM pubsub_item WHERE service = $1 AND node = $2 AND at > $3`
	sqlItemIDs   = `SELECT id FROM pubsub_item WHERE service = $1 AND node = $2 AND at > $3 ORDER BY seq`
	// The newest item of each of a service's nodes, if it is no larger than $2.
	sqlLasts = `SELECT i.node, i.id, i.seq, i.publisher, i.at, i.payload FROM pubsub_node n
JOIN pubsub_item i ON i.service = n.service AND i.node = n.node
AND i.seq = (SELECT MAX(m.seq) FROM pubsub_item m WHERE m.service = n.service AND m.node = n.node)
WHERE n.service = $1 AND i.size <= $2`
	sqlNextSeq = `SELECT COALESCE(MAX(seq), 0) + 1 FROM pubsub_item WHERE service = $1 AND node = $2`
	sqlPut     = `INSERT INTO pubsub_item (service, node, id, seq, publisher, at, size, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (service, node, id) DO UPDATE SET seq = excluded.seq, publisher = excluded.publisher, at = excluded.at,
size = excluded.size, payload = excluded.payload`
	sqlRetract = `DELETE FROM pubsub_item WHERE service = $1 AND node = $2 AND id = $3`
	sqlHas     = `SELECT count(*) FROM pubsub_item WHERE service = $1 AND node = $2 AND id = $3`
	// What is older than the newest $3 items.
	sqlSurplus = `SELECT id FROM pubsub_item WHERE service = $1 AND node = $2 AND seq <=
(SELECT seq FROM pubsub_item WHERE service = $1 AND node = $2 ORDER BY seq DESC LIMIT 1 OFFSET $3) ORDER BY seq`
	sqlTrim = `DELETE FROM pubsub_item WHERE service = $1 AND node = $2 AND seq <=
(SELECT seq FROM pubsub_item WHERE service = $1 AND node = $2 ORDER BY seq DESC LIMIT 1 OFFSET $3)`
	sqlExpire = `DELETE FROM pubsub_item WHERE service = $1 AND node = $2 AND at <= $3`
	sqlSize   = `SELECT COALESCE(SUM(size), 0) FROM pubsub_item WHERE service = $1`

	sqlDropNode         = `DELETE FROM pubsub_node WHERE service = $1 AND node = $2`
	sqlDropItems        = `DELETE FROM pubsub_item WHERE service = $1 AND node = $2`
	sqlDropAffiliations = `DELETE FROM pubsub_affiliation WHERE service = $1 AND node = $2`
	sqlDropAllSubs      = `DELETE FROM pubsub_subscription WHERE service = $1 AND node = $2`

	sqlForgetNodes        = `DELETE FROM pubsub_node WHERE service = $1`
	sqlForgetItems        = `DELETE FROM pubsub_item WHERE service = $1`
	sqlForgetAffiliations = `DELETE FROM pubsub_affiliation WHERE service = $1 OR jid = $1`
	sqlForgetSubs         = `DELETE FROM pubsub_subscription WHERE service = $1 OR bare = $1`
)
