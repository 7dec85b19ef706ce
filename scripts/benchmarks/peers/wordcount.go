// Command wordcount prints the most frequent words of all regular files below
// a directory, as `count word`: the best we can write in Go without assembly.
// Words are runs of bytes that are no ASCII white space, or of letters.
//
//	wordcount [-letters] [-least N] [-huge] [-top N] DIR
//
// One goroutine a processor takes directories from a shared stack and reads
// each file with plain system calls into a buffer of its own. Counting is a
// matter of cache misses, so it has two phases: each goroutine counts in a
// front that fits its cache and writes what it drops from there, and every long
// word, to one of many partitions by hash; then the partitions are counted, in
// parallel, in tables that fit the cache too. wordcount_limit.c does the same.
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
	partitionBits = 10
	partitions    = 1 << partitionBits
	frontSize     = 1 << 14 // entries, in pairs: 512 KiB
	inlineKey     = 16      // key bytes that fit an entry
	header        = 12      // of a record: tag, count, length
	slack         = 16      // readable bytes behind a key
	chunkSize     = 1 << 13 // of a partition
	arenaSize     = 1 << 24
	bufSize       = 1 << 18 // grows only for a longer word
)

// Partitions on huge pages: by hand, the runtime does not ask for them.
var huge = flag.Bool("huge", false, "ask for huge pages")

// ---- memory ----

// allocate returns zeroed bytes.
func allocate(size int) []byte {
	if !*huge {
		return make([]byte, size)
	}
	const page = 1 << 21
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		fail(err)
	}
	mem = mem[-uintptr(unsafe.Pointer(&mem[0]))&(page-1):][:size]
	syscall.Madvise(mem, syscall.MADV_HUGEPAGE) // a refusal changes only speed
	return mem
}

// An entry is free while its count is 0. A key of up to 16 bytes is in lo and
// hi; of a longer one lo has the first 8 bytes and hi says where all are: the
// chunk and the offset in it.
type entry struct {
	lo, hi uint64
	count  uint32
	length uint32
	tag    uint32 // of the hash: high bits the partition, low bits the slot
	_      uint32
}

// ---- first phase: the front and the partitions ----

// A chunk holds records; its length is what is used of its capacity.
type chunk []byte

type counter struct {
	front      *[frontSize]entry
	partitions [partitions][]chunk
	arena      []byte
}

func newCounter() *counter {
	return &counter{front: new([frontSize]entry)}
}

const k0, k1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func load(p unsafe.Pointer, at int) uint64 {
	return *(*uint64)(unsafe.Add(p, at))
}

// loadKey takes up to 16 bytes; it reads 16.
func loadKey(p unsafe.Pointer, n int) (lo, hi uint64) {
	if n <= 8 {
		return load(p, 0) & (^uint64(0) >> ((64 - 8*uint(n)) & 63)), 0
	}
	return load(p, 0), load(p, 8) & (^uint64(0) >> ((128 - 8*uint(n)) & 63))
}

func recordSize(n int) int { return (header + n + 3) &^ 3 }

// record makes one and returns where its key goes.
func (c *counter) record(tag, count uint32, n int) []byte {
	list := &c.partitions[tag>>(32-partitionBits)]
	size := recordSize(n)
	last := len(*list) - 1
	if last < 0 || len((*list)[last])+size+slack > cap((*list)[last]) {
		*list = append(*list, c.chunk(size+slack))
		last++
	}
	old := (*list)[last]
	all := old[:len(old)+size]
	(*list)[last] = all
	r := all[len(old):]
	binary.LittleEndian.PutUint32(r, tag)
	binary.LittleEndian.PutUint32(r[4:], count)
	binary.LittleEndian.PutUint32(r[8:], uint32(n))
	return r[header:cap(r)]
}

func (c *counter) chunk(least int) chunk {
	size := max(chunkSize, least)
	if size > len(c.arena) {
		c.arena = allocate(max(arenaSize, size))
	}
	taken := c.arena[:0:size]
	c.arena = c.arena[size:]
	return taken
}

func (c *counter) drop(e *entry) {
	key := c.record(e.tag, e.count, int(e.length))
	binary.LittleEndian.PutUint64(key, e.lo)
	binary.LittleEndian.PutUint64(key[8:], e.hi)
}

func (c *counter) dropAll() {
	for i := range c.front {
		if c.front[i].count > 0 {
			c.drop(&c.front[i])
		}
	}
}

func (c *counter) addLong(key []byte) {
	p, n := unsafe.Pointer(unsafe.SliceData(key)), len(key)
	h := uint64(n)
	for i := 0; i < n-8; i += 8 {
		h = mix(load(p, i)^k0^h, k1)
	}
	h = mix(load(p, n-8)^k0^h, k1)
	copy(c.record(uint32(h), 1, n), key)
}

// add takes a word that at least 16 readable bytes follow.
func (c *counter) add(key []byte) {
	n := len(key)
	if n > inlineKey {
		c.addLong(key)
		return
	}
	lo, hi := loadKey(unsafe.Pointer(unsafe.SliceData(key)), n)
	hash := mix(lo^k0, hi^(k1+uint64(n)))
	at := hash & (frontSize - 2) // a pair is one cache line
	a, b := &c.front[at], &c.front[at+1]
	if a.lo == lo && a.hi == hi && a.length == uint32(n) {
		a.count++
		return
	}
	if b.lo == lo && b.hi == hi && b.length == uint32(n) {
		b.count++
		return
	}
	if b.count < a.count { // the rarer one goes, so that frequent words stay
		a = b
	}
	if a.count > 0 {
		c.drop(a)
	}
	*a = entry{lo: lo, hi: hi, count: 1, length: uint32(n), tag: uint32(hash)}
}

// ---- second phase: a table a partition ----

type table struct {
	entries []entry
	used    int
	chunks  []chunk // of the partition that is being counted
}

// key returns a copy of the key of an entry.
func (t *table) key(e *entry) []byte {
	if e.length > inlineKey {
		return bytes.Clone(t.long(e))
	}
	var key [inlineKey]byte
	binary.LittleEndian.PutUint64(key[:8], e.lo)
	binary.LittleEndian.PutUint64(key[8:], e.hi)
	return bytes.Clone(key[:e.length])
}

func (t *table) long(e *entry) []byte {
	return t.chunks[e.hi>>32][uint32(e.hi):][:e.length]
}

func (t *table) grow() {
	old := t.entries
	t.entries = make([]entry, 2*len(old))
	mask := len(t.entries) - 1
	for i := range old {
		if old[i].count == 0 {
			continue
		}
		at := int(old[i].tag) & mask
		for t.entries[at].count != 0 {
			at = (at + 1) & mask
		}
		t.entries[at] = old[i]
	}
}

// add counts the key of a record; hi is where it is, if it is long.
func (t *table) add(tag, count uint32, key []byte, hi uint64) {
	p, n := unsafe.Pointer(unsafe.SliceData(key)), len(key)
	lo := load(p, 0)
	if n <= inlineKey {
		lo, hi = loadKey(p, n)
	}
	entries := t.entries
	mask := len(entries) - 1
	for at := int(tag) & mask; ; at = (at + 1) & mask {
		e := &entries[at]
		if e.count == 0 {
			*e = entry{lo: lo, hi: hi, count: count, length: uint32(n), tag: tag}
			break
		}
		if e.lo != lo || e.length != uint32(n) {
			continue
		}
		if n <= inlineKey && e.hi == hi ||
			n > inlineKey && e.tag == tag && bytes.Equal(t.long(e), key) {
			e.count += count
			return
		}
	}
	if t.used++; t.used*8 >= len(t.entries)*5 {
		t.grow()
	}
}

// count counts a partition; the table keeps the size that the last one needed.
func (t *table) count(chunks []chunk) {
	clear(t.entries)
	t.used, t.chunks = 0, chunks
	for i, c := range chunks {
		for at := 0; at < len(c); {
			r := c[at:]
			n := int(binary.LittleEndian.Uint32(r[8:]))
			t.add(binary.LittleEndian.Uint32(r), binary.LittleEndian.Uint32(r[4:]),
				r[header:header+n], uint64(i)<<32|uint64(at+header))
			at += recordSize(n)
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
		best = append(best, found{e.count, t.key(e)})
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
		r.dropAll()
	})

	var next atomic.Int32
	var best [partitions][]found
	everywhere(workers, func(int) {
		t := &table{entries: make([]entry, 256)}
		for i := next.Add(1) - 1; i < partitions; i = next.Add(1) - 1 {
			var chunks []chunk
			for _, c := range counters {
				chunks = append(chunks, c.partitions[i]...)
			}
			t.count(chunks)
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
