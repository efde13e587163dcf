-- Triggers that tell changes, as they were at first. Frozen: what changes them is another revision.

CREATE TRIGGER tell_task_insert
  AFTER INSERT ON task
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.changed', CAST(json_object(
    'id', NEW.task_id,
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = NEW.job_id),
    'instance', NEW.instance,
    'status', NEW.status,
    'host', (SELECT host FROM agent WHERE id = NEW.agent_row_id),
    'before', NULL) AS BLOB);
END;

CREATE TRIGGER tell_task_update
  AFTER UPDATE OF status ON task
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
    AND (OLD.status)
    IS NOT (NEW.status)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.changed', CAST(json_object(
    'id', NEW.task_id,
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = NEW.job_id),
    'instance', NEW.instance,
    'status', NEW.status,
    'host', (SELECT host FROM agent WHERE id = NEW.agent_row_id),
    'before', OLD.status) AS BLOB);
END;

CREATE TRIGGER tell_task_delete
  BEFORE DELETE ON task
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.task.deleted', CAST(json_object(
    'id', OLD.task_id,
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = OLD.job_id),
    'instance', OLD.instance,
    'status', OLD.status,
    'host', (SELECT host FROM agent WHERE id = OLD.agent_row_id)) AS BLOB);
END;

CREATE TRIGGER tell_update_status
  AFTER UPDATE OF status ON job_update
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.changed', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = NEW.job_id),
    'id', NEW.update_id,
    'before', OLD.status,
    'status', NEW.status) AS BLOB);
END;

CREATE TRIGGER tell_update_instance
  AFTER INSERT ON job_instance_update_event
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.instance', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = job_update.job_id),
    'id', job_update.update_id,
    'instance', NEW.instance,
    'action', NEW.action) AS BLOB)
  FROM job_update WHERE id = NEW.update_row_id;
END;

CREATE TRIGGER tell_update_delete
  BEFORE DELETE ON job_update
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.update.removed', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = OLD.job_id),
    'id', OLD.update_id) AS BLOB);
END;

CREATE TRIGGER tell_cron_job_insert
  AFTER INSERT ON cron_job
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.changed', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = NEW.job_id)) AS BLOB);
END;

CREATE TRIGGER tell_cron_job_update
  AFTER UPDATE OF owner, schedule, collision_policy, instance_count, config_id ON cron_job
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
    AND (OLD.owner, OLD.schedule, OLD.collision_policy, OLD.instance_count, OLD.config_id)
    IS NOT (NEW.owner, NEW.schedule, NEW.collision_policy, NEW.instance_count, NEW.config_id)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.changed', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = NEW.job_id)) AS BLOB);
END;

CREATE TRIGGER tell_cron_job_delete
  BEFORE DELETE ON cron_job
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.cron_job.removed', CAST(json_object(
    'job', (SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = OLD.job_id)) AS BLOB);
END;

CREATE TRIGGER tell_quota_insert
  AFTER INSERT ON quota
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.changed', CAST(json_object(
    'role', NEW.role) AS BLOB);
END;

CREATE TRIGGER tell_quota_update
  AFTER UPDATE OF cpus, ram_mb, disk_mb ON quota
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
    AND (OLD.cpus, OLD.ram_mb, OLD.disk_mb)
    IS NOT (NEW.cpus, NEW.ram_mb, NEW.disk_mb)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.changed', CAST(json_object(
    'role', NEW.role) AS BLOB);
END;

CREATE TRIGGER tell_quota_delete
  BEFORE DELETE ON quota
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.quota.removed', CAST(json_object(
    'role', OLD.role) AS BLOB);
END;

CREATE TRIGGER tell_host_insert
  AFTER INSERT ON host_attributes
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.changed', CAST(json_object(
    'agent_id', NEW.agent_id,
    'host', NEW.host,
    'mode', NEW.mode,
    'before', NULL) AS BLOB);
END;

CREATE TRIGGER tell_host_update
  AFTER UPDATE OF agent_id, host, mode, attributes ON host_attributes
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
    AND (OLD.agent_id, OLD.host, OLD.mode, OLD.attributes)
    IS NOT (NEW.agent_id, NEW.host, NEW.mode, NEW.attributes)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.changed', CAST(json_object(
    'agent_id', NEW.agent_id,
    'host', NEW.host,
    'mode', NEW.mode,
    'before', OLD.mode) AS BLOB);
END;

CREATE TRIGGER tell_host_delete
  BEFORE DELETE ON host_attributes
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.host.removed', CAST(json_object(
    'agent_id', OLD.agent_id,
    'host', OLD.host,
    'mode', OLD.mode) AS BLOB);
END;

CREATE TRIGGER tell_maintenance_insert
  AFTER INSERT ON host_maintenance
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.changed', CAST(json_object(
    'host', NEW.host) AS BLOB);
END;

CREATE TRIGGER tell_maintenance_update
  AFTER UPDATE OF sla_policy, timeout_secs, created_ms ON host_maintenance
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
    AND (OLD.sla_policy, OLD.timeout_secs, OLD.created_ms)
    IS NOT (NEW.sla_policy, NEW.timeout_secs, NEW.created_ms)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.changed', CAST(json_object(
    'host', NEW.host) AS BLOB);
END;

CREATE TRIGGER tell_maintenance_delete
  BEFORE DELETE ON host_maintenance
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber)
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT 'model.maintenance.removed', CAST(json_object(
    'host', OLD.host) AS BLOB);
END;
