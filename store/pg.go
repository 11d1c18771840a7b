package store

import (
	"context"
	"errors"
)

func openPG(context.Context, *DB, Options) (engine, error) {
	return nil, errors.New("postgresql: not yet")
}
