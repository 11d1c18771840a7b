package file

import (
	"embed"
	"io/fs"

	"github.com/parlance-im/parlance/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	columns = `id, owner, name, media, purpose, size, stored, hash, state, reason, created, expires, until, thumb, thumb_size, thumbed`

	sqlAdd = `INSERT INTO file (id, put, owner, name, media, purpose, size, state, created, expires, until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'slot', $8, $9, $10)`
	sqlFind   = `SELECT ` + columns + ` FROM file WHERE id = $1`
	sqlBySlot = `SELECT ` + columns + ` FROM file WHERE put = $1`

	sqlUsage  = `SELECT bytes, files, profile FROM file_usage WHERE owner = $1`
	sqlCharge = `INSERT INTO file_usage (owner, bytes, files, profile) VALUES ($1, $2, $3, $4)
		ON CONFLICT (owner) DO UPDATE SET bytes = file_usage.bytes + excluded.bytes,
		files = file_usage.files + excluded.files, profile = file_usage.profile + excluded.profile`
	sqlDay   = `SELECT size, created FROM file WHERE owner = $1 AND created > $2 ORDER BY created`
	sqlSlots = `SELECT count(*) FROM file WHERE owner = $1 AND created > $2 AND state IN ('slot', 'uploading')`

	sqlBusy    = `SELECT count(*) FROM file WHERE owner = $1 AND state = 'uploading'`
	sqlClaim   = `UPDATE file SET state = 'uploading' WHERE id = $1 AND state = 'slot' AND expires > $2`
	sqlRelease = `UPDATE file SET state = 'slot', hash = NULL, stored = 0 WHERE id = $1 AND state = 'uploading'`
	sqlHash    = `UPDATE file SET hash = $2, stored = $3 WHERE id = $1 AND state = 'uploading'`
	sqlShow    = `UPDATE file SET state = $2, expires = 0 WHERE id = $1 AND state = 'uploading'`
	sqlMove    = `UPDATE file SET state = $3, reason = $4 WHERE id = $1 AND state = $2`
	sqlDelete  = `DELETE FROM file WHERE id = $1`

	sqlThumbing = `UPDATE file SET thumb = $2, thumb_size = $3, thumbed = 'making' WHERE id = $1 AND thumbed IN ('', 'making')`
	sqlThumbed  = `UPDATE file SET thumbed = $2 WHERE id = $1`

	sqlExpired    = `SELECT ` + columns + ` FROM file WHERE state = 'slot' AND expires <= $1 LIMIT $2`
	sqlExpiredOf  = `SELECT ` + columns + ` FROM file WHERE owner = $1 AND state = 'slot' AND expires <= $2`
	sqlOld        = `SELECT ` + columns + ` FROM file WHERE created <= $1 AND state IN ('clean', 'refused') AND purpose IN ('message', 'ephemeral') LIMIT $2`
	sqlUploading  = `SELECT ` + columns + ` FROM file WHERE state = 'uploading'`
	sqlByState    = `SELECT ` + columns + ` FROM file WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3`
	sqlLoosen     = `INSERT INTO file_loose (hash) VALUES ($1) ON CONFLICT (hash) DO NOTHING`
	sqlLoose      = `SELECT hash FROM file_loose ORDER BY hash LIMIT $1`
	sqlReferenced = `SELECT (SELECT count(*) FROM file WHERE hash = $1) + (SELECT count(*) FROM file WHERE thumb = $2)`
	sqlRemoving   = `UPDATE file_loose SET removing = 1 WHERE hash = $1`
	sqlIsRemoving = `SELECT removing FROM file_loose WHERE hash = $1`
	sqlTightened  = `DELETE FROM file_loose WHERE hash = $1 AND removing = 0`
	sqlRemoved    = `DELETE FROM file_loose WHERE hash = $1`
)

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "file", FS: sub}
}
