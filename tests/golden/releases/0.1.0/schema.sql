---- events_0001
CREATE TABLE aurora_store_event (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  topic VARCHAR NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE aurora_store_subscriber (
  name VARCHAR NOT NULL,
  cursor INTEGER NOT NULL,
  PRIMARY KEY(name)
);
CREATE TABLE sqlite_sequence (
  name,
  seq
);

---- model_0001
CREATE INDEX ix_agent_host ON agent (host);
CREATE INDEX ix_cron_job_config_id ON cron_job (config_id);
CREATE INDEX ix_environment_name ON environment (name);
CREATE INDEX ix_host_attributes_host ON host_attributes (host);
CREATE INDEX ix_job_instance_update_event_update_row_id_instance ON job_instance_update_event (update_row_id, instance);
CREATE INDEX ix_job_name ON job (name);
CREATE INDEX ix_job_role_id ON job (role_id);
CREATE INDEX ix_job_update_config_config_id ON job_update_config (config_id);
CREATE INDEX ix_job_update_job_id_modified_ms ON job_update (job_id, modified_ms);
CREATE INDEX ix_job_update_modified_ms ON job_update (modified_ms);
CREATE INDEX ix_job_update_status_modified_ms ON job_update (status, modified_ms);
CREATE INDEX ix_job_update_user_modified_ms ON job_update (user, modified_ms);
CREATE INDEX ix_task_age ON task (status_time_ms) WHERE status IN (3, 4, 5, 7);
CREATE INDEX ix_task_agent_row_id ON task (agent_row_id) WHERE agent_row_id IS NOT NULL;
CREATE INDEX ix_task_config_id ON task (config_id);
CREATE INDEX ix_task_config_job_id ON task_config (job_id);
CREATE INDEX ix_task_history ON task (job_id, status_time_ms) WHERE status IN (3, 4, 5, 7);
CREATE INDEX ix_task_instance ON task (instance);
CREATE INDEX ix_task_job_id_instance ON task (job_id, instance);
CREATE INDEX ix_task_job_id_status ON task (job_id, status);
CREATE INDEX ix_task_status ON task (status);
CREATE TABLE agent (
  id INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  host TEXT NOT NULL,
  CONSTRAINT pk_agent PRIMARY KEY(id),
  CONSTRAINT uq_agent_agent_id_host UNIQUE(agent_id,host)
);
CREATE TABLE cron_job (
  job_id INTEGER NOT NULL,
  owner TEXT NOT NULL,
  schedule TEXT,
  collision_policy SMALLINT NOT NULL,
  instance_count INTEGER NOT NULL,
  config_id INTEGER NOT NULL,
  CONSTRAINT fk_cron_job_config_id FOREIGN KEY(config_id)REFERENCES task_config(id),
  CONSTRAINT fk_cron_job_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_cron_job PRIMARY KEY(job_id)
);
CREATE TABLE environment (
  id INTEGER NOT NULL,
  role_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  CONSTRAINT fk_environment_role_id FOREIGN KEY(role_id)REFERENCES role(id),
  CONSTRAINT pk_environment PRIMARY KEY(id),
  CONSTRAINT uq_environment_role_id_name UNIQUE(role_id,name)
);
CREATE TABLE environment_tally (
  environment_id INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  CONSTRAINT fk_environment_tally_environment_id FOREIGN KEY(environment_id)REFERENCES environment(id),
  CONSTRAINT pk_environment_tally PRIMARY KEY(environment_id,status)
) WITHOUT ROWID;
CREATE TABLE host_attributes (
  id INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  host TEXT NOT NULL,
  mode SMALLINT NOT NULL,
  attributes TEXT NOT NULL,
  CONSTRAINT pk_host_attributes PRIMARY KEY(id),
  CONSTRAINT uq_host_attributes_agent_id UNIQUE(agent_id)
);
CREATE TABLE host_maintenance (
  host TEXT NOT NULL,
  sla_policy TEXT NOT NULL,
  timeout_secs INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  CONSTRAINT pk_host_maintenance PRIMARY KEY(host)
) WITHOUT ROWID;
CREATE TABLE job (
  id INTEGER NOT NULL,
  role_id INTEGER NOT NULL,
  environment_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  CONSTRAINT fk_job_environment_id FOREIGN KEY(environment_id)REFERENCES environment(id),
  CONSTRAINT fk_job_role_id FOREIGN KEY(role_id)REFERENCES role(id),
  CONSTRAINT pk_job PRIMARY KEY(id),
  CONSTRAINT uq_job_environment_id_name UNIQUE(environment_id,name)
);
CREATE TABLE job_instance_update_event (
  update_row_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  action SMALLINT NOT NULL,
  message TEXT,
  CONSTRAINT fk_job_instance_update_event_update_row_id FOREIGN KEY(update_row_id)REFERENCES job_update(id)ON DELETE CASCADE,
  CONSTRAINT pk_job_instance_update_event PRIMARY KEY(update_row_id,sequence)
) WITHOUT ROWID;
CREATE TABLE job_lock (
  job_id INTEGER NOT NULL,
  token TEXT NOT NULL,
  user TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  message TEXT,
  CONSTRAINT fk_job_lock_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_job_lock PRIMARY KEY(job_id),
  CONSTRAINT uq_job_lock_token UNIQUE(token)
);
CREATE TABLE job_tally (
  job_id INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  CONSTRAINT fk_job_tally_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_job_tally PRIMARY KEY(job_id,status)
) WITHOUT ROWID;
CREATE TABLE job_update (
  id INTEGER NOT NULL,
  job_id INTEGER NOT NULL,
  update_id TEXT NOT NULL,
  user TEXT NOT NULL,
  status SMALLINT,
  created_ms INTEGER DEFAULT '0' NOT NULL,
  modified_ms INTEGER DEFAULT '0' NOT NULL,
  CONSTRAINT fk_job_update_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_job_update PRIMARY KEY(id),
  CONSTRAINT uq_job_update_job_id_update_id UNIQUE(job_id,update_id)
);
CREATE TABLE job_update_config (
  update_row_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  config_id INTEGER NOT NULL,
  desired BOOLEAN NOT NULL,
  instances TEXT NOT NULL,
  CONSTRAINT fk_job_update_config_config_id FOREIGN KEY(config_id)REFERENCES task_config(id),
  CONSTRAINT fk_job_update_config_update_row_id FOREIGN KEY(update_row_id)REFERENCES job_update(id)ON DELETE CASCADE,
  CONSTRAINT pk_job_update_config PRIMARY KEY(update_row_id,sequence)
) WITHOUT ROWID;
CREATE TABLE job_update_event (
  update_row_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  time_ms INTEGER NOT NULL,
  user TEXT,
  message TEXT,
  CONSTRAINT fk_job_update_event_update_row_id FOREIGN KEY(update_row_id)REFERENCES job_update(id)ON DELETE CASCADE,
  CONSTRAINT pk_job_update_event PRIMARY KEY(update_row_id,sequence)
) WITHOUT ROWID;
CREATE TABLE job_update_instructions (
  update_row_id INTEGER NOT NULL,
  settings TEXT NOT NULL,
  metadata TEXT NOT NULL,
  CONSTRAINT fk_job_update_instructions_update_row_id FOREIGN KEY(update_row_id)REFERENCES job_update(id)ON DELETE CASCADE,
  CONSTRAINT pk_job_update_instructions PRIMARY KEY(update_row_id)
);
CREATE TABLE job_usage (
  job_id INTEGER NOT NULL,
  tier TEXT NOT NULL,
  production BOOLEAN NOT NULL,
  dedicated BOOLEAN NOT NULL,
  tasks INTEGER NOT NULL,
  cpus_milli INTEGER NOT NULL,
  ram_mb INTEGER NOT NULL,
  disk_mb INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  CONSTRAINT fk_job_usage_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_job_usage PRIMARY KEY(job_id,tier,production,dedicated)
) WITHOUT ROWID;
CREATE TABLE quota (
  role TEXT NOT NULL,
  cpus DOUBLE NOT NULL,
  ram_mb INTEGER NOT NULL,
  disk_mb INTEGER NOT NULL,
  CONSTRAINT pk_quota PRIMARY KEY(role)
) WITHOUT ROWID;
CREATE TABLE role (
  id INTEGER NOT NULL,
  name TEXT NOT NULL,
  jobs INTEGER DEFAULT '0' NOT NULL,
  cron_jobs INTEGER DEFAULT '0' NOT NULL,
  CONSTRAINT pk_role PRIMARY KEY(id),
  CONSTRAINT uq_role_name UNIQUE(name)
);
CREATE TABLE role_tally (
  role_id INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  CONSTRAINT fk_role_tally_role_id FOREIGN KEY(role_id)REFERENCES role(id),
  CONSTRAINT pk_role_tally PRIMARY KEY(role_id,status)
) WITHOUT ROWID;
CREATE TABLE role_usage (
  role_id INTEGER NOT NULL,
  tier TEXT NOT NULL,
  production BOOLEAN NOT NULL,
  dedicated BOOLEAN NOT NULL,
  tasks INTEGER NOT NULL,
  cpus_milli INTEGER NOT NULL,
  ram_mb INTEGER NOT NULL,
  disk_mb INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  CONSTRAINT fk_role_usage_role_id FOREIGN KEY(role_id)REFERENCES role(id),
  CONSTRAINT pk_role_usage PRIMARY KEY(role_id,tier,production,dedicated)
) WITHOUT ROWID;
CREATE TABLE scheduler_metadata (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  CONSTRAINT pk_scheduler_metadata PRIMARY KEY(name)
) WITHOUT ROWID;
CREATE TABLE task (
  id INTEGER NOT NULL,
  task_id TEXT NOT NULL,
  job_id INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  status_time_ms INTEGER NOT NULL,
  config_id INTEGER NOT NULL,
  agent_row_id INTEGER,
  failures INTEGER DEFAULT '0' NOT NULL,
  times_partitioned INTEGER DEFAULT '0' NOT NULL,
  ancestor TEXT,
  CONSTRAINT fk_task_agent_row_id FOREIGN KEY(agent_row_id)REFERENCES agent(id),
  CONSTRAINT fk_task_config_id FOREIGN KEY(config_id)REFERENCES task_config(id),
  CONSTRAINT fk_task_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_task PRIMARY KEY(id),
  CONSTRAINT uq_task_task_id UNIQUE(task_id)
);
CREATE TABLE task_config (
  id INTEGER NOT NULL,
  hash BLOB NOT NULL,
  job_id INTEGER NOT NULL,
  tier TEXT NOT NULL,
  production BOOLEAN NOT NULL,
  dedicated BOOLEAN NOT NULL,
  is_service BOOLEAN NOT NULL,
  priority INTEGER NOT NULL,
  max_task_failures INTEGER NOT NULL,
  cpus_milli INTEGER NOT NULL,
  ram_mb INTEGER NOT NULL,
  disk_mb INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  body TEXT NOT NULL,
  CONSTRAINT fk_task_config_job_id FOREIGN KEY(job_id)REFERENCES job(id),
  CONSTRAINT pk_task_config PRIMARY KEY(id),
  CONSTRAINT uq_task_config_hash UNIQUE(hash)
);
CREATE TABLE task_event (
  task_row_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  message TEXT,
  scheduler TEXT,
  CONSTRAINT fk_task_event_task_row_id FOREIGN KEY(task_row_id)REFERENCES task(id)ON DELETE CASCADE,
  CONSTRAINT pk_task_event PRIMARY KEY(task_row_id,sequence)
) WITHOUT ROWID;
CREATE TABLE task_port (
  task_row_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  port INTEGER NOT NULL,
  CONSTRAINT fk_task_port_task_row_id FOREIGN KEY(task_row_id)REFERENCES task(id)ON DELETE CASCADE,
  CONSTRAINT pk_task_port PRIMARY KEY(task_row_id,name)
) WITHOUT ROWID;
CREATE TRIGGER cron_job_config AFTER UPDATE OF config_id ON cron_job WHEN OLD.config_id <> NEW.config_id BEGIN DELETE FROM task_config WHERE id = OLD.config_id AND NOT EXISTS (SELECT 1 FROM task WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM cron_job WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM job_update_config WHERE config_id = OLD.config_id); END;
CREATE TRIGGER cron_job_delete AFTER DELETE ON cron_job BEGIN UPDATE role SET cron_jobs = cron_jobs - 1 WHERE id = (SELECT role_id FROM job WHERE id = OLD.job_id); DELETE FROM task_config WHERE id = OLD.config_id AND NOT EXISTS (SELECT 1 FROM task WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM cron_job WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM job_update_config WHERE config_id = OLD.config_id); END;
CREATE TRIGGER cron_job_insert AFTER INSERT ON cron_job BEGIN UPDATE role SET cron_jobs = cron_jobs + 1 WHERE id = (SELECT role_id FROM job WHERE id = NEW.job_id); END;
CREATE TRIGGER environment_delete AFTER DELETE ON environment BEGIN DELETE FROM role WHERE id = OLD.role_id AND NOT EXISTS (SELECT 1 FROM environment WHERE role_id = OLD.role_id); END;
CREATE TRIGGER job_delete AFTER DELETE ON job BEGIN DELETE FROM environment WHERE id = OLD.environment_id AND NOT EXISTS (SELECT 1 FROM job WHERE environment_id = OLD.environment_id); END;
CREATE TRIGGER job_instance_update_event_insert AFTER INSERT ON job_instance_update_event BEGIN UPDATE job_update SET modified_ms = max(modified_ms, NEW.time_ms) WHERE id = NEW.update_row_id; END;
CREATE TRIGGER job_lock_delete AFTER DELETE ON job_lock BEGIN DELETE FROM job WHERE id = OLD.job_id AND NOT EXISTS (SELECT 1 FROM task_config WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_update WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_lock WHERE job_id = OLD.job_id); END;
CREATE TRIGGER job_tally_delete AFTER DELETE ON job_tally WHEN NOT EXISTS (SELECT 1 FROM job_tally WHERE job_id = OLD.job_id) BEGIN UPDATE role SET jobs = jobs - 1 WHERE id = (SELECT role_id FROM job WHERE id = OLD.job_id); END;
CREATE TRIGGER job_tally_insert AFTER INSERT ON job_tally WHEN NOT EXISTS (SELECT 1 FROM job_tally WHERE job_id = NEW.job_id AND status <> NEW.status) BEGIN UPDATE role SET jobs = jobs + 1 WHERE id = (SELECT role_id FROM job WHERE id = NEW.job_id); END;
CREATE TRIGGER job_update_config_delete AFTER DELETE ON job_update_config BEGIN DELETE FROM task_config WHERE id = OLD.config_id AND NOT EXISTS (SELECT 1 FROM task WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM cron_job WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM job_update_config WHERE config_id = OLD.config_id); END;
CREATE TRIGGER job_update_delete AFTER DELETE ON job_update BEGIN DELETE FROM job_update_event WHERE update_row_id = OLD.id; DELETE FROM job_instance_update_event WHERE update_row_id = OLD.id; DELETE FROM job_update_instructions WHERE update_row_id = OLD.id; DELETE FROM job_update_config WHERE update_row_id = OLD.id; DELETE FROM job WHERE id = OLD.job_id AND NOT EXISTS (SELECT 1 FROM task_config WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_update WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_lock WHERE job_id = OLD.job_id); END;
CREATE TRIGGER job_update_event_insert AFTER INSERT ON job_update_event BEGIN UPDATE job_update SET status = NEW.status, created_ms = CASE WHEN status IS NULL THEN NEW.time_ms ELSE created_ms END, modified_ms = max(modified_ms, NEW.time_ms) WHERE id = NEW.update_row_id; END;
CREATE TRIGGER task_activity AFTER UPDATE OF status ON task WHEN OLD.job_id = NEW.job_id AND OLD.config_id = NEW.config_id AND (OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18)) <> (NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18)) BEGIN INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT NEW.job_id, tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = NEW.job_id), tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT OLD.job_id, tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM job_usage WHERE job_id = OLD.job_id AND tasks = 0; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = OLD.job_id), tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM role_usage WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND tasks = 0; END;
CREATE TRIGGER task_agent AFTER UPDATE OF agent_row_id ON task WHEN OLD.agent_row_id <> coalesce(NEW.agent_row_id, -1) BEGIN DELETE FROM agent WHERE id = OLD.agent_row_id AND NOT EXISTS (SELECT 1 FROM task WHERE agent_row_id = OLD.agent_row_id); END;
CREATE TRIGGER task_config_delete AFTER DELETE ON task_config BEGIN DELETE FROM job WHERE id = OLD.job_id AND NOT EXISTS (SELECT 1 FROM task_config WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_update WHERE job_id = OLD.job_id) AND NOT EXISTS (SELECT 1 FROM job_lock WHERE job_id = OLD.job_id); END;
CREATE TRIGGER task_config_of_task AFTER UPDATE OF job_id, config_id ON task WHEN NOT (OLD.job_id = NEW.job_id AND OLD.config_id = NEW.config_id) BEGIN INSERT INTO job_tally (job_id, status, tasks) VALUES (NEW.job_id, NEW.status, 1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO job_tally (job_id, status, tasks) VALUES (OLD.job_id, OLD.status, -1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM job_tally WHERE job_id = OLD.job_id AND status = OLD.status AND tasks = 0; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM environment_tally WHERE environment_id = (SELECT environment_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM role_tally WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT NEW.job_id, tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = NEW.job_id), tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT OLD.job_id, tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM job_usage WHERE job_id = OLD.job_id AND tasks = 0; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = OLD.job_id), tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM role_usage WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND tasks = 0; DELETE FROM task_config WHERE id = OLD.config_id AND NOT EXISTS (SELECT 1 FROM task WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM cron_job WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM job_update_config WHERE config_id = OLD.config_id); END;
CREATE TRIGGER task_delete AFTER DELETE ON task BEGIN DELETE FROM task_event WHERE task_row_id = OLD.id; DELETE FROM task_port WHERE task_row_id = OLD.id; INSERT INTO job_tally (job_id, status, tasks) VALUES (OLD.job_id, OLD.status, -1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM job_tally WHERE job_id = OLD.job_id AND status = OLD.status AND tasks = 0; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM environment_tally WHERE environment_id = (SELECT environment_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM role_tally WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT OLD.job_id, tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM job_usage WHERE job_id = OLD.job_id AND tasks = 0; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = OLD.job_id), tier, production, dedicated, -1, -cpus_milli, -ram_mb, -disk_mb, -gpus FROM task_config WHERE id = OLD.config_id AND OLD.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; DELETE FROM role_usage WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND tasks = 0; DELETE FROM agent WHERE id = OLD.agent_row_id AND NOT EXISTS (SELECT 1 FROM task WHERE agent_row_id = OLD.agent_row_id); DELETE FROM task_config WHERE id = OLD.config_id AND NOT EXISTS (SELECT 1 FROM task WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM cron_job WHERE config_id = OLD.config_id) AND NOT EXISTS (SELECT 1 FROM job_update_config WHERE config_id = OLD.config_id); END;
CREATE TRIGGER task_insert AFTER INSERT ON task BEGIN INSERT INTO job_tally (job_id, status, tasks) VALUES (NEW.job_id, NEW.status, 1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO job_usage (job_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT NEW.job_id, tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (job_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; INSERT INTO role_usage (role_id, tier, production, dedicated, tasks, cpus_milli, ram_mb, disk_mb, gpus) SELECT (SELECT role_id FROM job WHERE id = NEW.job_id), tier, production, dedicated, +1, +cpus_milli, +ram_mb, +disk_mb, +gpus FROM task_config WHERE id = NEW.config_id AND NEW.status IN (0, 1, 2, 6, 9, 12, 13, 16, 17, 18) ON CONFLICT (role_id, tier, production, dedicated) DO UPDATE SET tasks = tasks + excluded.tasks, cpus_milli = cpus_milli + excluded.cpus_milli, ram_mb = ram_mb + excluded.ram_mb, disk_mb = disk_mb + excluded.disk_mb, gpus = gpus + excluded.gpus; END;
CREATE TRIGGER task_status AFTER UPDATE OF status ON task WHEN OLD.job_id = NEW.job_id AND OLD.config_id = NEW.config_id AND OLD.status <> NEW.status BEGIN INSERT INTO job_tally (job_id, status, tasks) VALUES (NEW.job_id, NEW.status, 1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = NEW.job_id), NEW.status, 1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; INSERT INTO job_tally (job_id, status, tasks) VALUES (OLD.job_id, OLD.status, -1) ON CONFLICT (job_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM job_tally WHERE job_id = OLD.job_id AND status = OLD.status AND tasks = 0; INSERT INTO environment_tally (environment_id, status, tasks) VALUES ((SELECT environment_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (environment_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM environment_tally WHERE environment_id = (SELECT environment_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; INSERT INTO role_tally (role_id, status, tasks) VALUES ((SELECT role_id FROM job WHERE id = OLD.job_id), OLD.status, -1) ON CONFLICT (role_id, status) DO UPDATE SET tasks = tasks + excluded.tasks; DELETE FROM role_tally WHERE role_id = (SELECT role_id FROM job WHERE id = OLD.job_id) AND status = OLD.status AND tasks = 0; END;

---- model_0002
CREATE TRIGGER tell_cron_job_delete BEFORE DELETE ON cron_job WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.removed', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = OLD.job_id)) AS BLOB); END;
CREATE TRIGGER tell_cron_job_insert AFTER INSERT ON cron_job WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.changed', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = NEW.job_id)) AS BLOB); END;
CREATE TRIGGER tell_cron_job_update AFTER UPDATE OF owner, schedule, collision_policy, instance_count, config_id ON cron_job WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) AND (OLD.owner, OLD.schedule, OLD.collision_policy, OLD.instance_count, OLD.config_id) IS NOT (NEW.owner, NEW.schedule, NEW.collision_policy, NEW.instance_count, NEW.config_id) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.changed', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = NEW.job_id)) AS BLOB); END;
CREATE TRIGGER tell_host_delete BEFORE DELETE ON host_attributes WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.removed', CAST(json_object( 'agent_id', OLD.agent_id, 'host', OLD.host, 'mode', OLD.mode) AS BLOB); END;
CREATE TRIGGER tell_host_insert AFTER INSERT ON host_attributes WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.changed', CAST(json_object( 'agent_id', NEW.agent_id, 'host', NEW.host, 'mode', NEW.mode, 'before', NULL) AS BLOB); END;
CREATE TRIGGER tell_host_update AFTER UPDATE OF agent_id, host, mode, attributes ON host_attributes WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) AND (OLD.agent_id, OLD.host, OLD.mode, OLD.attributes) IS NOT (NEW.agent_id, NEW.host, NEW.mode, NEW.attributes) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.changed', CAST(json_object( 'agent_id', NEW.agent_id, 'host', NEW.host, 'mode', NEW.mode, 'before', OLD.mode) AS BLOB); END;
CREATE TRIGGER tell_maintenance_delete BEFORE DELETE ON host_maintenance WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.removed', CAST(json_object( 'host', OLD.host) AS BLOB); END;
CREATE TRIGGER tell_maintenance_insert AFTER INSERT ON host_maintenance WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.changed', CAST(json_object( 'host', NEW.host) AS BLOB); END;
CREATE TRIGGER tell_maintenance_update AFTER UPDATE OF sla_policy, timeout_secs, created_ms ON host_maintenance WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) AND (OLD.sla_policy, OLD.timeout_secs, OLD.created_ms) IS NOT (NEW.sla_policy, NEW.timeout_secs, NEW.created_ms) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.changed', CAST(json_object( 'host', NEW.host) AS BLOB); END;
CREATE TRIGGER tell_quota_delete BEFORE DELETE ON quota WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.removed', CAST(json_object( 'role', OLD.role) AS BLOB); END;
CREATE TRIGGER tell_quota_insert AFTER INSERT ON quota WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.changed', CAST(json_object( 'role', NEW.role) AS BLOB); END;
CREATE TRIGGER tell_quota_update AFTER UPDATE OF cpus, ram_mb, disk_mb ON quota WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) AND (OLD.cpus, OLD.ram_mb, OLD.disk_mb) IS NOT (NEW.cpus, NEW.ram_mb, NEW.disk_mb) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.changed', CAST(json_object( 'role', NEW.role) AS BLOB); END;
CREATE TRIGGER tell_task_delete BEFORE DELETE ON task WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.deleted', CAST(json_object( 'id', OLD.task_id, 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = OLD.job_id), 'instance', OLD.instance, 'status', OLD.status, 'host', (SELECT host FROM agent WHERE id = OLD.agent_row_id)) AS BLOB); END;
CREATE TRIGGER tell_task_insert AFTER INSERT ON task WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.changed', CAST(json_object( 'id', NEW.task_id, 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = NEW.job_id), 'instance', NEW.instance, 'status', NEW.status, 'host', (SELECT host FROM agent WHERE id = NEW.agent_row_id), 'before', NULL) AS BLOB); END;
CREATE TRIGGER tell_task_update AFTER UPDATE OF status ON task WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) AND (OLD.status) IS NOT (NEW.status) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.changed', CAST(json_object( 'id', NEW.task_id, 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = NEW.job_id), 'instance', NEW.instance, 'status', NEW.status, 'host', (SELECT host FROM agent WHERE id = NEW.agent_row_id), 'before', OLD.status) AS BLOB); END;
CREATE TRIGGER tell_update_delete BEFORE DELETE ON job_update WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.removed', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = OLD.job_id), 'id', OLD.update_id) AS BLOB); END;
CREATE TRIGGER tell_update_instance AFTER INSERT ON job_instance_update_event WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.instance', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = job_update.job_id), 'id', job_update.update_id, 'instance', NEW.instance, 'action', NEW.action) AS BLOB) FROM job_update WHERE id = NEW.update_row_id; END;
CREATE TRIGGER tell_update_status AFTER UPDATE OF status ON job_update WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber) BEGIN INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.changed', CAST(json_object( 'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job JOIN environment ON environment.id = job.environment_id JOIN role ON role.id = job.role_id WHERE job.id = NEW.job_id), 'id', NEW.update_id, 'before', OLD.status, 'status', NEW.status) AS BLOB); END;
