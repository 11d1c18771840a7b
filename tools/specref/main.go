package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

const (
	specsFile = "docs/specs.tsv"
	indexFile = "docs/spec-index.md"
)

func main() {
	check := flag.Bool("check", false, "only check; write nothing")
	xeps := flag.String("xeps", "", "folder with xep-NNNN.xml files to take sections from")
	flag.Parse()
	if err := run(*check, *xeps); err != nil {
		fmt.Fprintln(os.Stderr, "specref:", err)
		os.Exit(1)
	}
}

func run(check bool, xeps string) error {
	if xeps != "" {
		return rewriteXEPs(specsFile, xeps)
	}
	specs, err := readSpecs(specsFile)
	if err != nil {
		return err
	}
	cites, err := findCites(".")
	if err != nil {
		return err
	}
	wrong := 0
	for _, c := range cites {
		if why := specs.refuse(c.spec, c.section); why != "" {
			fmt.Printf("%s:%d: %s\n", c.file, c.line, why)
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("error: %d of %d citations are wrong", wrong, len(cites))
	}
	index := writeIndex(specs, cites)
	if !check {
		return os.WriteFile(indexFile, index, 0o644)
	}
	old, err := os.ReadFile(indexFile)
	if err != nil || !bytes.Equal(old, index) {
		return fmt.Errorf("error: %s is not fresh: run make generate", indexFile)
	}
	fmt.Printf("%d citations of %d specifications are right; %s is fresh\n", len(cites), len(specs.cited(cites)), indexFile)
	return nil
}
