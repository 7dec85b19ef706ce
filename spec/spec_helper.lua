--- What a spec may ask of the run it is part of. scripts/test sets the environment.
local environment = os.getenv

return {
  --- 'own': neap's C scheduler loop; 'host': the Lua loop under a stock luajit.
  loop = environment 'NEAP_LOOP' or 'own',
  --- 'one': both ends on one worker; 'spread': on two. A file that has this word runs with each.
  placement = environment 'NEAP_PLACEMENT' or 'one',
  --- True when a run should be short: no stress, one seed.
  quick = environment 'NEAP_TEST_QUICK' == '1',
  --- The seeds that a seeded spec goes through.
  seeds = environment 'NEAP_TEST_QUICK' == '1' and { 1 } or { 1, 2, 3, 4, 5 },
}
