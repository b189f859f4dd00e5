//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

// vector is a repository that the real programs signed, with the answer for each tag.
type vector struct {
	GUN  string
	Now  int64
	Tags map[string]struct {
		Digest string
		Size   uint64
	}
	Files map[string]string
}

func vectors(t *testing.T) map[string]*vector {
	t.Helper()
	paths, _ := filepath.Glob("../../tests/vectors/repositories/*.json")
	if len(paths) == 0 {
		t.Skip("the vectors are with the sources of the library")
	}
	vectors := map[string]*vector{}
	for _, path := range paths {
		vector := new(vector)
		if err := json.Unmarshal(must(t, func() ([]byte, error) { return os.ReadFile(path) }), vector); err != nil {
			t.Fatal(path, err)
		}
		vectors[filepath.Base(path)] = vector
	}
	return vectors
}

func (v *vector) options() *tagtrust.TrustedSetOptions {
	return &tagtrust.TrustedSetOptions{Clock: func() time.Time { return time.Unix(v.Now, 0) }}
}

// file is that of a role. Its name holds the checksum, except for two.
func (v *vector) file(t *testing.T, role string) []byte {
	t.Helper()
	for name, text := range v.Files {
		sum := sha256.Sum256([]byte(text))
		if name == role+".json" || name == role+"."+hex.EncodeToString(sum[:])+".json" {
			return []byte(text)
		}
	}
	t.Fatalf("no file of %s", role)
	return nil
}

// load adds all files, each after `change` has seen it.
func (v *vector) load(t *testing.T, options *tagtrust.TrustedSetOptions, change func(role string, file []byte) []byte) (*tagtrust.TrustedSet, error) {
	t.Helper()
	set, err := tagtrust.NewTrustedSet(v.GUN, change("root", v.file(t, "root")), options)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { set.Close() })
	for role := set.NextRole(); role != ""; role = set.NextRole() {
		add := map[string]func([]byte) error{"timestamp": set.AddTimestamp, "snapshot": set.AddSnapshot}[role]
		if add == nil {
			add = set.AddRole
		}
		if err := add(change(role, v.file(t, role))); err != nil {
			if set.NextRole() != role {
				t.Errorf("%s is refused, and %q comes next", role, set.NextRole())
			}
			return nil, err
		}
	}
	return set, nil
}

func same(_ string, file []byte) []byte { return file }

func TestWhatTheRealProgramsSignedIsAccepted(t *testing.T) {
	for name, vector := range vectors(t) {
		set, err := vector.load(t, vector.options(), same)
		if err != nil {
			t.Error(name, err)
			continue
		}
		for tag, expected := range vector.Tags {
			for _, reference := range []string{tag, vector.GUN + ":" + tag, vector.GUN + ":" + tag + "@" + expected.Digest} {
				found, err := set.Verify(reference)
				if err != nil || found.Digest != expected.Digest || found.Size != expected.Size || found.Tag != tag ||
					found.Repository != vector.GUN || found.Fresh {
					t.Errorf("%s: %s: %+v, %v", name, reference, found, err)
				}
			}
		}
		for reference, class := range map[string]error{
			"unsigned":                   tagtrust.ErrTagNotSigned,
			"v1\x00":                     tagtrust.ErrInvalidArgument,
			"registry.example/other:v1":  tagtrust.ErrInvalidReference,
			vector.GUN + ":v1@" + other:  tagtrust.ErrDigestMismatch,
			vector.GUN + ":UPPER@sha256": tagtrust.ErrInvalidReference,
		} {
			if found, err := set.Verify(reference); found != nil || !errors.Is(err, class) {
				t.Errorf("%s: %q: %+v, %v", name, reference, found, err)
			}
		}
	}
}

func TestWhatIsDamagedExpiredOrNotPinnedIsRefused(t *testing.T) {
	for name, vector := range vectors(t) {
		for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
			damage := func(of string, file []byte) []byte {
				if of != role {
					return file
				}
				return []byte(strings.Replace(string(file), `"version":`, `"version":1`, 1))
			}
			if set, err := vector.load(t, vector.options(), damage); set != nil || !errors.Is(err, tagtrust.ErrTampered) &&
				!errors.Is(err, tagtrust.ErrRootNotTrusted) {
				t.Errorf("%s: %s: %v", name, role, err)
			}
			for what, instead := range map[string][]byte{"nil": nil, "empty": {}, "no JSON": []byte("\x00")} {
				if set, err := vector.load(t, vector.options(), func(of string, file []byte) []byte {
					if of == role {
						return instead
					}
					return file
				}); set != nil || err == nil {
					t.Errorf("%s: %s: %s", name, role, what)
				}
			}
		}
		late := &tagtrust.TrustedSetOptions{Clock: func() time.Time { return time.Unix(vector.Now, 0).AddDate(0, 0, 15) }}
		if set, err := vector.load(t, late, same); set != nil || !errors.Is(err, tagtrust.ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
		for what, options := range map[string]func(*tagtrust.TrustedSetOptions){
			"no pin":     func(o *tagtrust.TrustedSetOptions) { o.Pinning = &tagtrust.Pinning{} },
			"nil root":   func(o *tagtrust.TrustedSetOptions) { o.KnownRoots = [][]byte{nil} },
			"empty root": func(o *tagtrust.TrustedSetOptions) { o.KnownRoots = [][]byte{{}} },
			"foreign": func(o *tagtrust.TrustedSetOptions) {
				o.KnownRoots = [][]byte{[]byte(`{"signed":{},"signatures":[]}`)}
			},
		} {
			changed := vector.options()
			options(changed)
			if set, err := vector.load(t, changed, same); set != nil || err == nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

func TestARotatedRootFollowsFromItsPredecessors(t *testing.T) {
	vector := vectors(t)["notary-rotated.json"]
	if vector == nil {
		t.Fatal("no vector")
	}
	var names []string
	for name := range vector.Files {
		if strings.HasSuffix(name, ".root.json") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var roots [][]byte
	for _, name := range names {
		roots = append(roots, []byte(vector.Files[name]))
	}
	if len(roots) != 4 {
		t.Fatal("not rotated")
	}
	open := func(root []byte, known ...[]byte) error {
		options := vector.options()
		options.KnownRoots = known
		set, err := tagtrust.NewTrustedSet(vector.GUN, root, options)
		if (set == nil) != (err != nil) {
			t.Fatal(set, err)
		}
		if err == nil {
			set.Close()
		}
		return err
	}
	for first := range roots {
		for last := first; last < len(roots); last++ {
			if err := open(roots[last], roots[first:last]...); err != nil {
				t.Error(first, last, err)
			}
		}
	}
	damaged := []byte(strings.Replace(string(roots[1]), `"version":`, `"version":1`, 1))
	for what, err := range map[string]error{
		"a gap":           open(roots[3], roots[0], roots[2]),
		"another order":   open(roots[3], roots[0], roots[2], roots[1]),
		"a gap at last":   open(roots[3], roots[0], roots[1]),
		"one too many":    open(roots[3], roots...),
		"a damaged one":   open(roots[3], roots[0], damaged, roots[2]),
		"one that is nil": open(roots[3], roots[0], nil, roots[2]),
	} {
		if !errors.Is(err, tagtrust.ErrRootNotTrusted) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := open(roots[0], roots[3]); !errors.Is(err, tagtrust.ErrRolledBack) && !errors.Is(err, tagtrust.ErrRootNotTrusted) {
		t.Error(err)
	}
}

// byRole gives the files by the names of their roles.
func (v *vector) byRole() map[string][]byte {
	files := map[string][]byte{}
	for name, text := range v.Files {
		sum := sha256.Sum256([]byte(text))
		role := strings.TrimSuffix(strings.TrimSuffix(name, ".json"), "."+hex.EncodeToString(sum[:]))
		files[role] = []byte(text)
	}
	return files
}

func TestAllFilesAreAddedAtOnce(t *testing.T) {
	for name, vector := range vectors(t) {
		files := vector.byRole()
		// What is not asked for does not matter.
		files[""], files["targets/other"] = []byte{}, []byte("{}")
		for _, role := range []string{"timestamp", "snapshot", "targets"} {
			set := must(t, func() (*tagtrust.TrustedSet, error) {
				return tagtrust.NewTrustedSet(vector.GUN, files["root"], vector.options())
			})
			good := files[role]
			delete(files, role)
			if err := set.AddAll(files); err != nil || set.NextRole() != role {
				t.Errorf("%s: without %s: %v, then %q", name, role, err, set.NextRole())
			}
			for _, wrong := range [][]byte{nil, {}, []byte("{}"), good[1:]} {
				files[role] = wrong
				if err := set.AddAll(files); !errors.Is(err, tagtrust.ErrTampered) || set.NextRole() != role {
					t.Errorf("%s: wrong %s: %v, then %q", name, role, err, set.NextRole())
				}
			}
			files[role] = good
			for range []int{1, 2} {
				if err := set.AddAll(files); err != nil || set.NextRole() != "" {
					t.Errorf("%s: %v, then %q", name, err, set.NextRole())
				}
			}
			for tag, expected := range vector.Tags {
				if found, err := set.Verify(tag); err != nil || found.Digest != expected.Digest {
					t.Errorf("%s: %s: %v, %v", name, tag, found, err)
				}
			}
			set.Close()
			if err := set.AddAll(files); err != tagtrust.ErrClosed {
				t.Error(name, err)
			}
		}
	}
}

func TestASetThatIsNotCompleteAnswersNothing(t *testing.T) {
	for name, vector := range vectors(t) {
		set := must(t, func() (*tagtrust.TrustedSet, error) {
			return tagtrust.NewTrustedSet(vector.GUN, vector.file(t, "root"), vector.options())
		})
		if found, err := set.Verify("v1"); found != nil || err == nil || set.NextRole() != "timestamp" {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		set.Close()
		set.Close()
		for what, err := range map[string]error{
			"Verify":       errorOf(set.Verify("v1")),
			"AddTimestamp": set.AddTimestamp(vector.file(t, "timestamp")),
			"AddRole":      set.AddRole(nil),
		} {
			if err != tagtrust.ErrClosed {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		if set.NextRole() != "" {
			t.Error(name)
		}
	}
}

func TestASetIsUsedByMany(t *testing.T) {
	for name, vector := range vectors(t) {
		set, err := vector.load(t, vector.options(), same)
		if err != nil {
			t.Fatal(name, err)
		}
		var group sync.WaitGroup
		for worker := 0; worker < 4; worker++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for tag, expected := range vector.Tags {
					if found, err := set.Verify(tag); err != nil || found.Digest != expected.Digest {
						t.Errorf("%s: %v, %v", tag, found, err)
					}
				}
			}()
		}
		group.Wait()
	}
}

func TestAClockThatPanicsIsAnErrorOfTheSet(t *testing.T) {
	for name, vector := range vectors(t) {
		broken := &tagtrust.TrustedSetOptions{Clock: func() time.Time { panic("burst") }}
		var as *tagtrust.Error
		if set, err := vector.load(t, broken, same); set != nil || !errors.As(err, &as) || as.Cause == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGoroutinesAddAllFilesToOneSet(t *testing.T) {
	for name, vector := range vectors(t) {
		files := vector.byRole()
		for range [20]struct{}{} {
			set := must(t, func() (*tagtrust.TrustedSet, error) {
				return tagtrust.NewTrustedSet(vector.GUN, files["root"], vector.options())
			})
			var all sync.WaitGroup
			for range [8]struct{}{} {
				all.Add(1)
				go func() {
					defer all.Done()
					if err := set.AddAll(files); err != nil || set.NextRole() != "" {
						t.Errorf("%s: %v, then %q", name, err, set.NextRole())
					}
				}()
			}
			all.Wait()
			set.Close()
		}
	}
}
