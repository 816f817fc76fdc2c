//go:build !linux

package sysfs

import (
	"io/fs"
	"os"
)

func (r *hostRoot) readAtOnce(string, int) ([]byte, error) { return nil, errWalk }

func (r *hostRoot) directoryAtOnce(string) (*os.File, error) { return nil, errWalk }

func (r *hostRoot) readlinkAtOnce(string) (string, error) { return "", errWalk }

func (r *hostRoot) statAtOnce(string, bool) (fs.FileInfo, error) { return nil, errWalk }

func (r *hostRoot) resolveAtOnce(string) (string, error) { return "", errWalk }
