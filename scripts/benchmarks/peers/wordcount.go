// Command wordcount prints the most frequent words of all regular files below
// a directory, as `count word`: the best we can write in Go without assembly.
// Words are runs of bytes that are no ASCII white space, or of letters.
//
//	wordcount [-letters] [-least N] [-huge] [-top N] DIR
//
// One goroutine a processor takes directories from a shared stack, reads each
// file with plain system calls into a buffer of its own and counts into a table
// of its own. The tables are cut by hash, so that merging them is parallel too.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	partBits  = 6
	parts     = 1 << partBits
	batch     = 32      // words hashed before any of them is looked up
	inlineKey = 16      // key bytes that fit an entry
	chunkSize = 1 << 21 // arena block
	bufSize   = 1 << 18 // grows only for a longer word
)

// Tables and arenas on huge pages: by hand, the runtime does not ask for them.
var huge = flag.Bool("huge", false, "ask for huge pages")

// ---- memory ----

// allocate returns zeroed elements that hold no pointers.
func allocate[T any](n int) []T {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	if !*huge || size < 1<<21 {
		return make([]T, n)
	}
	// A huge page starts at a multiple of its size: map one more, cut to fit.
	mem, err := syscall.Mmap(-1, 0, size+1<<21, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		fail(err)
	}
	base := uintptr(unsafe.Pointer(&mem[0]))
	mem = mem[-base&(1<<21-1):]
	syscall.Madvise(mem[:size], 14) // MADV_HUGEPAGE; a refusal changes only speed
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[0])), n)
}

// Blocks of all arenas, so that a key is named by one number anywhere.
var (
	chunks    [1 << 16][]byte
	chunkLast atomic.Uint32
)

type arena struct {
	id   uint32
	free []byte
	used int
}

func (a *arena) put(key []byte) uint64 {
	if a.used+len(key) > len(a.free) {
		a.id, a.used = chunkLast.Add(1), 0
		a.free = allocate[byte](max(chunkSize, len(key)))
		chunks[a.id] = a.free
	}
	at := uint64(a.id)<<32 | uint64(a.used)
	a.used += copy(a.free[a.used:], key)
	return at
}

// ---- table ----

// An entry is free while its count is 0. A key of up to 16 bytes is in lo and
// hi; of a longer one lo is the hash and hi says where the bytes are.
type entry struct {
	lo, hi uint64
	count  uint32
	length uint32
	tag    uint32 // low half of the hash: the home slot, at any table size
	_      uint32
}

func (e *entry) key() []byte {
	if e.length <= inlineKey {
		var key [inlineKey]byte
		binary.LittleEndian.PutUint64(key[:8], e.lo)
		binary.LittleEndian.PutUint64(key[8:], e.hi)
		return append([]byte(nil), key[:e.length]...)
	}
	return chunks[e.hi>>32][uint32(e.hi):][:e.length]
}

type table struct {
	entries []entry
	used    int
}

func (t *table) grow() {
	old := t.entries
	t.entries = allocate[entry](2 * len(old))
	mask := uint32(len(t.entries) - 1)
	for i := range old {
		if old[i].count == 0 {
			continue
		}
		at := old[i].tag & mask
		for t.entries[at].count != 0 {
			at = (at + 1) & mask
		}
		t.entries[at] = old[i]
	}
}

// find returns the entry of a key, or the free one where it belongs.
func (t *table) find(lo, hi uint64, length, tag uint32, key []byte) *entry {
	entries := t.entries
	mask := len(entries) - 1
	for at := int(tag) & mask; ; at = (at + 1) & mask {
		e := &entries[at]
		if e.count == 0 {
			return e
		}
		if e.lo != lo || e.length != length {
			continue
		}
		if length <= inlineKey && e.hi == hi || length > inlineKey && bytes.Equal(e.key(), key) {
			return e
		}
	}
}

func (t *table) full() bool { return t.used*8 >= len(t.entries)*5 }

// ---- counting ----

type word struct {
	lo, hi, hash uint64
	key          []byte
}

type counter struct {
	tables [parts]table
	arena  arena
	words  [batch]word
	n      int
	sink   uint32
}

func newCounter() *counter {
	c := new(counter)
	for i := range c.tables {
		c.tables[i].entries = allocate[entry](1 << 8)
	}
	return c
}

const k0, k1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func load(p unsafe.Pointer, at int) uint64 {
	return *(*uint64)(unsafe.Add(p, at))
}

// add takes a word that at least 16 readable bytes follow.
func (c *counter) add(key []byte) {
	w := &c.words[c.n]
	p, n := unsafe.Pointer(unsafe.SliceData(key)), len(key)
	w.key = key
	switch {
	case n <= 8:
		w.lo = load(p, 0) & (^uint64(0) >> ((64 - 8*uint(n)) & 63))
		w.hi = 0
		w.hash = mix(w.lo^k0, k1+uint64(n))
	case n <= inlineKey:
		w.lo = load(p, 0)
		w.hi = load(p, 8) & (^uint64(0) >> ((128 - 8*uint(n)) & 63))
		w.hash = mix(w.lo^k0, w.hi^(k1+uint64(n)))
	default:
		h := uint64(n)
		for i := 0; i < n-8; i += 8 {
			h = mix(load(p, i)^k0^h, k1)
		}
		w.hash = mix(load(p, n-8)^k0^h, k1)
		w.lo = w.hash
	}
	if c.n++; c.n == batch {
		c.flush()
	}
}

// flush counts the waiting words. The first pass only touches each home slot:
// these loads do not wait for each other, so their cache misses overlap.
func (c *counter) flush() {
	words := c.words[:c.n]
	for i := range words {
		t := &c.tables[words[i].hash>>(64-partBits)]
		c.sink += t.entries[int(uint32(words[i].hash))&(len(t.entries)-1)].count
	}
	for i := range words {
		w := &words[i]
		t := &c.tables[w.hash>>(64-partBits)]
		e := t.find(w.lo, w.hi, uint32(len(w.key)), uint32(w.hash), w.key)
		if e.count++; e.count > 1 {
			continue
		}
		e.lo, e.hi, e.length, e.tag = w.lo, w.hi, uint32(len(w.key)), uint32(w.hash)
		if len(w.key) > inlineKey {
			e.hi = c.arena.put(w.key)
		}
		if t.used++; t.full() {
			t.grow()
		}
	}
	c.n = 0
}

// merge adds one part of another counter to ours.
func (t *table) merge(from *table) {
	for i := range from.entries {
		f := &from.entries[i]
		if f.count == 0 {
			continue
		}
		var key []byte
		if f.length > inlineKey {
			key = f.key()
		}
		e := t.find(f.lo, f.hi, f.length, f.tag, key)
		if e.count > 0 {
			e.count += f.count
			continue
		}
		*e = *f
		if t.used++; t.full() {
			t.grow()
		}
	}
}

// ---- reading ----

var (
	class [256]bool // bytes that belong to words
	least = flag.Int("least", 1, "count only words of so many bytes")
)

// split counts the words of data, which 16 bytes of capacity follow. It returns
// where the last one starts if it reaches the end and more may come.
func (c *counter) split(data []byte, last bool) int {
	i, n := 0, len(data)
	for {
		for i < n && !class[data[i]] {
			i++
		}
		start := i
		for i < n && class[data[i]] {
			i++
		}
		if i == start || i == n && !last {
			return start
		}
		if i-start >= *least {
			c.add(data[start:i])
		}
	}
}

type reader struct {
	*counter
	buf  []byte // files, 16 bytes longer than what is used
	dirs []byte
}

func (r *reader) file(dir int, name string) {
	fd, err := syscall.Openat(dir, name, syscall.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		fail(err)
	}
	kept := 0
	for {
		room := len(r.buf) - 16
		got, err := syscall.Read(fd, r.buf[kept:room])
		if err != nil {
			fail(err)
		}
		last := got == 0 || kept == 0 && got < room // a short read is the end
		data := r.buf[:kept+got]
		at := r.split(data, last)
		r.flush() // its words lie in the buffer
		if last {
			break
		}
		if at == 0 && len(data) == room {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		kept = copy(r.buf, data[at:])
	}
	syscall.Close(fd)
}

// directory counts the files of one directory and hands out those below it.
func (r *reader) directory(path string, todo *stack) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		fail(err)
	}
	for {
		n, err := syscall.ReadDirent(fd, r.dirs)
		if err != nil {
			fail(err)
		}
		if n <= 0 {
			break
		}
		for at := 0; at < n; {
			record := r.dirs[at:]
			size := int(binary.LittleEndian.Uint16(record[16:]))
			name := record[19:size]
			name = name[:bytes.IndexByte(name, 0)]
			switch record[18] {
			case syscall.DT_REG:
				r.file(fd, string(name))
			case syscall.DT_DIR:
				if s := string(name); s != "." && s != ".." {
					todo.push(path + "/" + s)
				}
			}
			at += size
		}
	}
	syscall.Close(fd)
}

// stack holds the directories that nobody has taken yet. It is done when it is
// empty and nobody works on one that could add more.
type stack struct {
	sync.Mutex
	news sync.Cond
	dirs []string
	open int // waiting and being worked on
}

func (s *stack) push(dir string) {
	s.Lock()
	s.dirs = append(s.dirs, dir)
	s.open++
	s.Unlock()
	s.news.Signal()
}

func (s *stack) pop() (string, bool) {
	s.Lock()
	defer s.Unlock()
	for len(s.dirs) == 0 && s.open > 0 {
		s.news.Wait()
	}
	if s.open == 0 {
		return "", false
	}
	dir := s.dirs[len(s.dirs)-1]
	s.dirs = s.dirs[:len(s.dirs)-1]
	return dir, true
}

func (s *stack) done() {
	s.Lock()
	s.open--
	over := s.open == 0
	s.Unlock()
	if over {
		s.news.Broadcast()
	}
}

// ---- result ----

type found struct {
	count uint32
	key   []byte
}

func byCount(a, b found) int {
	if order := cmp.Compare(b.count, a.count); order != 0 {
		return order
	}
	return bytes.Compare(a.key, b.key)
}

// top returns the best n entries of a table; all of them if n is 0.
func (t *table) top(n int) []found {
	var best []found
	least := uint32(1)
	for i := range t.entries {
		e := &t.entries[i]
		if e.count < least {
			continue
		}
		best = append(best, found{e.count, e.key()})
		if n > 0 && len(best) >= 2*n {
			slices.SortFunc(best, byCount)
			best = best[:n]
			least = best[n-1].count
		}
	}
	return best
}

func everywhere(n int, do func(int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "wordcount:", err)
	os.Exit(1)
}

func main() {
	letters := flag.Bool("letters", false, "words are runs of ASCII letters")
	limit := flag.Int("top", 20, "how many words to print; 0 for all")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	debug.SetGCPercent(-1)
	for i := range class {
		c := byte(i)
		if *letters {
			class[i] = 'a' <= c|0x20 && c|0x20 <= 'z'
		} else {
			class[i] = c != ' ' && (c < '\t' || c > '\r')
		}
	}

	workers := runtime.GOMAXPROCS(0)
	counters := make([]*counter, workers)
	todo := new(stack)
	todo.news.L = todo
	todo.push(flag.Arg(0))
	everywhere(workers, func(i int) {
		r := &reader{newCounter(), make([]byte, bufSize), make([]byte, 1<<15)}
		counters[i] = r.counter
		for dir, ok := todo.pop(); ok; dir, ok = todo.pop() {
			r.directory(dir, todo)
			todo.done()
		}
	})

	var next atomic.Int32
	var best [parts][]found
	everywhere(workers, func(int) {
		for i := next.Add(1) - 1; i < parts; i = next.Add(1) - 1 {
			t := &counters[0].tables[i]
			for _, other := range counters[1:] {
				t.merge(&other.tables[i])
			}
			best[i] = t.top(*limit)
		}
	})
	all := slices.Concat(best[:]...)
	slices.SortFunc(all, byCount)
	if *limit > 0 {
		all = all[:min(*limit, len(all))]
	}
	out := bufio.NewWriter(os.Stdout)
	for _, f := range all {
		fmt.Fprintf(out, "%d %s\n", f.count, f.key)
	}
	out.Flush()
}
