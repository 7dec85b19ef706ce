/* The C API in use: scripts, events, values, channels. */
#include "embed/embed_test.h"

static void results_are_values(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_job *job = start(engine,
                        "local neap = require 'neap'\n"
                        "return 1.5, 'text', true, nil, neap.null, 7LL,\n"
                        "  { 10, 20, x = 'y' }, ('z'):rep(10000)",
                        42);
  neap_event event = next(engine);
  assert_int_equal(event.type, NEAP_EVENT_DONE);
  assert_int_equal(event.tag, 42);
  assert_ptr_equal(event.job, job);
  assert_int_equal(neap_job_status(job), NEAP_JOB_DONE);
  neap_value values[8];
  assert_int_equal(neap_event_values(&event, values, 8), 8);
  assert_true(values[0].type == NEAP_NUMBER && values[0].number == 1.5);
  assert_int_equal(values[1].type, NEAP_STRING);
  assert_memory_equal(values[1].data, "text", 4);
  assert_int_equal(values[2].type, NEAP_TRUE);
  assert_int_equal(values[3].type, NEAP_NIL);
  assert_int_equal(values[4].type, NEAP_NULL);
  assert_true(values[5].type == NEAP_INT64 && values[5].integer == 7);
  assert_int_equal(values[6].type, NEAP_TABLE);
  assert_int_equal(values[7].size, 10000);
  uint64_t position = 0;
  neap_value key, value;
  double sum = 0;
  int texts = 0;
  while (neap_table_next(&values[6], &position, &key, &value) == NEAP_OK) {
    if (value.type == NEAP_NUMBER) sum += key.number * value.number;
    if (key.type == NEAP_STRING) texts += key.data[0] == 'x';
  }
  assert_true(sum == 1 * 10 + 2 * 20 && texts == 1);
  neap_job_release(job);
  neap_engine_release(engine);
}

static void arguments_arrive(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_value arguments[5] = {{.type = NEAP_STRING, .data = "abc", .size = 3},
                             {.type = NEAP_NUMBER, .number = 2},
                             {.type = NEAP_NIL},
                             {.type = NEAP_NULL},
                             {.type = NEAP_INT64, .integer = INT64_C(1) << 60}};
  const char source[] = "local s, n, none, null, big = ...\n"
                        "assert(none == nil and null == require('neap').null)\n"
                        "assert(big == 2LL^60)\n"
                        "return s:rep(n), select('#', ...)";
  assert_int_equal(neap_script_start(engine, NULL, source, strlen(source),
                                     arguments, 5, 0, NULL, NULL),
                   NEAP_OK);
  neap_event event = next(engine);
  neap_value values[2];
  assert_int_equal(neap_event_values(&event, values, 2), 2);
  assert_memory_equal(values[0].data, "abcabc", 6);
  assert_true(values[1].number == 5);
  neap_engine_release(engine);
}

static void failures_say_where(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  static const struct {
    const char *source, *kind, *message;
    int32_t line;
  } cases[] = {
      {"local x\nx.y = 1", "error", "attempt to index", 2},
      {"return return", "error", "unexpected symbol", 1},
      {"error({ message = 'mine' })", "error", "mine", 1},
      {"os.exit(1)", "state", "os.exit in a worker of a guest", 1},
      {"return print", "unsendable", "a result", 0},
      {"require('neap').channel(-1)", "argument", "capacity", 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    neap_job_release(start(engine, cases[i].source, i));
    neap_event event = next(engine);
    neap_error error;
    neap_value value;
    assert_int_equal(event.type, NEAP_EVENT_FAILED);
    assert_int_equal(event.tag, i);
    assert_int_equal(neap_job_status(event.job), NEAP_JOB_FAILED);
    assert_int_equal(neap_event_values(&event, &value, 1), 0);
    assert_int_equal(neap_event_error(&event, &error), NEAP_OK);
    assert_string_equal(error.kind, cases[i].kind);
    assert_non_null(strstr(error.message, cases[i].message));
    assert_int_equal(error.line, cases[i].line);
  }
  neap_engine_release(engine);
}

static void lines_come_as_events(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_job_release(start(engine, "print('a', 1) io.write 'b\\n'", 0));
  neap_event event = next(engine);
  assert_int_equal(event.type, NEAP_EVENT_OUTPUT);
  assert_string_equal((const char *)event.data, "a\t1");
  event = next(engine);
  assert_string_equal((const char *)event.data, "b");
  assert_int_equal(next(engine).type, NEAP_EVENT_DONE);
  neap_engine_release(engine);
}

static void a_script_waits_for_its_tasks(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_job_release(
      start(engine,
            "local neap = require 'neap'\n"
            "local sum = neap.atomic(0)\n"
            "neap.scope(function()\n"
            "  for i = 1, 10 do\n"
            "    neap.spawn(function()\n"
            "      neap.sleep(0.005)\n"
            "      sum:add(i)\n"
            "    end)\n"
            "  end\n"
            "end)\n"
            "neap.spawn(function() neap.sleep(0.03) print 'late' end)\n"
            "return sum:load()",
            0));
  neap_event event = next(engine);
  assert_int_equal(event.type, NEAP_EVENT_OUTPUT);
  event = next(engine);
  neap_value value;
  assert_int_equal(event.type, NEAP_EVENT_DONE);
  assert_int_equal(neap_event_values(&event, &value, 1), 1);
  assert_true(value.number == 55);
  neap_engine_release(engine);
}

static void cancel_ends_a_waiting_script(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_job *job = start(engine, "require('neap').sleep(1000)", 0);
  neap_engine_tick(engine, 0.01, NULL);
  assert_int_equal(neap_job_cancel(job, "no longer needed"), NEAP_OK);
  neap_event event = next(engine);
  assert_int_equal(event.type, NEAP_EVENT_FAILED);
  assert_int_equal(neap_job_status(job), NEAP_JOB_CANCELED);
  neap_error error;
  neap_event_error(&event, &error);
  assert_string_equal(error.kind, "canceled");
  assert_non_null(strstr(error.message, "no longer needed"));
  assert_int_equal(neap_job_cancel(job, NULL), NEAP_OK);
  neap_job_release(job);
  neap_engine_release(engine);
}

static void channels_carry_both_ways(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_channel *in, *out;
  assert_int_equal(neap_channel_open(engine, "in", 4, &in), NEAP_OK);
  assert_int_equal(neap_channel_open(engine, "out", 4, &out), NEAP_OK);
  neap_channel *again;
  assert_int_equal(neap_channel_open(engine, "", 4, &again), NEAP_ARGUMENT);
  assert_int_equal(neap_channel_open(engine, "out", 0, &again), NEAP_OK);
  neap_channel_release(again);
  neap_job_release(
      start(engine,
            "local embed = require 'neap.embed'\n"
            "local out = embed.channel 'out'\n"
            "for v in embed.channel('in'):iter() do out:send(v) end\n"
            "out:close()",
            0));
  const neap_value sent[] = {{.type = NEAP_NUMBER, .number = 3},
                             {.type = NEAP_STRING, .data = "hi", .size = 2},
                             {.type = NEAP_TRUE},
                             {.type = NEAP_UINT64, .integer = 5}};
  const neap_value nil = {.type = NEAP_NIL};
  assert_int_equal(neap_channel_try_send(in, &nil), NEAP_ARGUMENT);
  for (int i = 0; i < 4; i++) {
    neap_value got;
    while (neap_channel_try_send(in, &sent[i]) == NEAP_AGAIN)
      neap_engine_tick(engine, 0.001, NULL);
    int status;
    while ((status = neap_channel_try_recv(out, &got)) == NEAP_AGAIN)
      neap_engine_tick(engine, 0.001, NULL);
    assert_int_equal(status, NEAP_OK);
    assert_int_equal(got.type, sent[i].type);
    assert_true(got.number == sent[i].number);
    assert_int_equal(got.integer, sent[i].integer);
    if (i == 1) assert_memory_equal(got.data, "hi", 2);
  }
  assert_int_equal(neap_channel_close(in), NEAP_OK);
  assert_int_equal(neap_channel_close(in), NEAP_CLOSED);
  assert_int_equal(next(engine).type, NEAP_EVENT_DONE);
  neap_value got;
  assert_int_equal(neap_channel_try_recv(out, &got), NEAP_CLOSED);
  neap_engine_close(engine, 1, NULL);
  assert_int_equal(neap_channel_try_recv(out, &got), NEAP_CLOSED);
  neap_channel_release(in);
  neap_engine_release(engine);
  neap_channel_release(out); /* After the engine: any order. */
}

static void the_descriptor_tells(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  struct pollfd fd = {.fd = neap_engine_wake_fd(engine), .events = POLLIN};
  assert_true(fd.fd > 2);
  assert_int_equal(poll(&fd, 1, 0), 0);
  neap_job_release(start(engine, "require('neap').sleep(0.02) return 1", 0));
  neap_event event;
  int64_t stop = np_clock_now() + 20 * NP_SECOND;
  while (neap_engine_poll(engine, &event, 1) == 0) {
    assert_true(np_clock_now() < stop);
    assert_int_equal(poll(&fd, 1, 20000), 1);
    neap_engine_tick(engine, 0.01, NULL);
  }
  assert_int_equal(event.type, NEAP_EVENT_DONE);
  neap_engine_poll(engine, &event, 1);
  neap_engine_tick(engine, 0, NULL);
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_int_equal(neap_engine_wait(engine, 0.001), NEAP_TIMEOUT);
  neap_engine_release(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(results_are_values),           BOTH(arguments_arrive),
      BOTH(failures_say_where),           BOTH(lines_come_as_events),
      BOTH(a_script_waits_for_its_tasks), BOTH(cancel_ends_a_waiting_script),
      BOTH(channels_carry_both_ways),     BOTH(the_descriptor_tells),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
